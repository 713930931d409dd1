import type { EncodedText } from '../encoded-text.ts';
import { type ModelJson, noTokenFor, type WordModel } from './word-model.ts';

/** How much less an unknown character scores than the least likely token, as in the Rust crate. */
const UNKNOWN_PENALTY = 10;
/** Edges of the trie are numbered `node * UNITS + UTF-16 unit`. */
const UNITS = 0x1_0000;

/**
 * Finds the most likely tokens of a word by their scores: the best path to every position, from left to right. Time and
 * memory are linear in the word's length.
 */
export class UnigramWords implements WordModel {
  readonly #scores: readonly number[];
  readonly #unknown: number | null;
  readonly #unknownScore: number;
  readonly #edges = new Map<number, number>();
  /** The token that ends at each node of the trie; −1 for none. */
  readonly #tokens: number[] = [-1];

  private constructor(
    vocabulary: readonly [string, number][],
    unknown: number | null,
    special: ReadonlySet<number>,
  ) {
    this.#scores = vocabulary.map(([, score]) => score);
    this.#unknown = unknown;
    this.#unknownScore =
      this.#scores.reduce((least, score) => Math.min(least, score), Infinity) - UNKNOWN_PENALTY;
    for (const [id, [token]] of vocabulary.entries()) if (!special.has(id)) this.#insert(token, id);
  }

  static of(this: void, model: ModelJson, special: ReadonlySet<number>): UnigramWords | null {
    const { type = 'Unigram', vocab, unk_id = null } = model;
    if (type !== 'Unigram' || !Array.isArray(vocab) || !Array.isArray(vocab[0])) return null;
    return new UnigramWords(vocab, unk_id, special);
  }

  #insert(token: string, id: number): void {
    let node = 0;
    for (let at = 0; at < token.length; at++) {
      const edge = node * UNITS + token.charCodeAt(at);
      let next = this.#edges.get(edge);
      if (next === undefined) {
        next = this.#tokens.push(-1) - 1;
        this.#edges.set(edge, next);
      }
      node = next;
    }
    if (node !== 0) this.#tokens[node] = id;
  }

  encode(word: string, out: EncodedText): void {
    const { length } = word;
    const best = new Float64Array(length + 1).fill(-Infinity);
    const tokens = new Int32Array(length + 1);
    const starts = new Int32Array(length + 1);
    best[0] = 0;
    for (let at = 0; at < length; ) {
      if ((at & 1023) === 0) out.tick();
      const end = at + (word.codePointAt(at)! > 0xffff ? 2 : 1);
      let hasCharacter = false;
      let node: number | undefined = 0;
      for (let to = at; to < length; ) {
        node = this.#edges.get(node * UNITS + word.charCodeAt(to++));
        if (node === undefined) break;
        const token = this.#tokens[node]!;
        if (token === -1) continue;
        if (to === end) hasCharacter = true;
        offer(at, to, token, this.#scores[token]!);
      }
      if (!hasCharacter) offer(at, end, -1, this.#unknownScore);
      at = end;
    }
    const ends: number[] = [];
    for (let at = length; at > 0; at = starts[at]!) ends.push(at);
    for (const end of ends.reverse()) {
      const token = tokens[end]!;
      const covered = end - starts[end]!;
      if (token !== -1) out.push(token, covered);
      else if (this.#unknown === null) throw noTokenFor();
      else out.pushUnknown(this.#unknown, covered, true);
    }

    /** Of equally likely paths, keeps the one with the longest last token. */
    function offer(from: number, to: number, token: number, score: number): void {
      const likelihood = best[from]! + score;
      if (!(likelihood > best[to]!)) return;
      best[to] = likelihood;
      tokens[to] = token;
      starts[to] = from;
    }
  }
}
