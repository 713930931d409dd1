/** Edges are numbered `node * UNITS + UTF-16 unit`. */
const UNITS = 0x1_0000;

/** Texts to find in other texts. A search takes as many steps as the longest text has units, whatever the number of texts. */
export class TextTrie {
  readonly #edges = new Map<number, number>();
  /** True at each node where a text ends. */
  readonly #ends: boolean[] = [false];
  /** 1 for each unit with which a text starts. */
  readonly #starts = new Uint8Array(UNITS);

  constructor(texts: Iterable<string>) {
    for (const text of texts) this.#insert(text);
  }

  get isEmpty(): boolean {
    return this.#ends.length === 1;
  }

  #insert(text: string): void {
    let node = 0;
    for (let at = 0; at < text.length; at++) {
      const edge = node * UNITS + text.charCodeAt(at);
      let next = this.#edges.get(edge);
      if (next === undefined) {
        next = this.#ends.push(false) - 1;
        this.#edges.set(edge, next);
      }
      node = next;
    }
    if (node === 0) return;
    this.#ends[node] = true;
    this.#starts[text.charCodeAt(0)] = 1;
  }

  /** Length of the longest of the texts that occurs at `at`; 0 for none. */
  lengthAt(text: string, at: number): number {
    let longest = 0;
    if (this.#starts[text.charCodeAt(at)] === 0) return longest;
    let node: number | undefined = 0;
    for (let to = at; to < text.length; ) {
      node = this.#edges.get(node * UNITS + text.charCodeAt(to++));
      if (node === undefined) break;
      if (this.#ends[node]) longest = to - at;
    }
    return longest;
  }
}
