/** Longer words are not cached, because they seldom repeat. UTF-16 units. */
const LONGEST_KEPT = 64;
/** Number of words in one generation of the cache, which has two: about 10 MB. */
const KEPT_WORDS = 1 << 15;

/** Caches the results for words, most of which repeat. */
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
    // Copied, since a substring would keep the whole text in memory.
    this.#recent.set(Buffer.from(word, 'utf16le').toString('utf16le'), known);
    return known;
  }
}
