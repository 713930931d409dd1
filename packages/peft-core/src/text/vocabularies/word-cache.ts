/** Words longer than this are not kept: they seldom come again. UTF-16 units. */
const LONGEST_KEPT = 64;
/** Words of one generation of the cache, which holds two: some 10 MB. */
const KEPT_WORDS = 1 << 15;

/** What words became, for those that come again: most do. */
export class WordCache<T> {
  readonly #make: (word: string) => T;
  #recent = new Map<string, T>();
  #older = new Map<string, T>();

  constructor(make: (word: string) => T) {
    this.#make = make;
  }

  get(word: string): T {
    return this.#recent.get(word) ?? this.#remember(word);
  }

  #remember(word: string): T {
    const known = this.#older.get(word) ?? this.#make(word);
    if (word.length > LONGEST_KEPT) return known;
    if (this.#recent.size >= KEPT_WORDS) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    // A piece of a longer text would keep all of that in memory.
    this.#recent.set(Buffer.from(word, 'utf16le').toString('utf16le'), known);
    return known;
  }
}
