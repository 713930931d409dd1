import type { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import type { EncodedText } from '../encoded-text.ts';
import { BpeWords } from './bpe-words.ts';
import { WordCache } from './word-cache.ts';
import { type ModelJson, noTokenFor, type WordModel } from './word-model.ts';

/** How much less an unknown character scores than the least likely token, as in the Rust crate. */
const UNKNOWN_PENALTY = 10;
/** Edges of the trie are numbered `node * UNITS + UTF-16 unit`. */
const UNITS = 0x1_0000;

/**
 * Finds the most likely tokens of a word by their scores: the best path to every position, from left to right. Time and
 * memory are linear in the word's length.
 */
class UnigramWords implements WordModel {
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

    /** Keeps the path with the longest last token among equally likely ones. */
    function offer(from: number, to: number, token: number, score: number): void {
      const likelihood = best[from]! + score;
      if (!(likelihood > best[to]!)) return;
      best[to] = likelihood;
      tokens[to] = token;
      starts[to] = from;
    }
  }
}

/** Takes the longest piece in the vocabulary, repeatedly from left to right. */
class WordPieceWords implements WordModel {
  readonly #vocabulary: ReadonlyMap<string, number>;
  readonly #unknown: number | null;
  readonly #prefix: string;
  readonly #mostCharacters: number;
  /** Length of the longest token in UTF-16 units. */
  readonly #longest: number;
  readonly #pieces = new WordCache((word) => this.#split(word));

  private constructor(model: ModelJson, special: ReadonlySet<number>) {
    const vocabulary = new Map(Object.entries(model.vocab as Record<string, number>));
    this.#unknown = vocabulary.get(model.unk_token ?? '') ?? null;
    let longest = 0;
    for (const [token, id] of vocabulary) {
      if (special.has(id)) vocabulary.delete(token);
      else longest = Math.max(longest, token.length);
    }
    this.#vocabulary = vocabulary;
    this.#longest = longest;
    this.#prefix = model.continuing_subword_prefix ?? '';
    this.#mostCharacters = model.max_input_chars_per_word ?? 100;
  }

  static of(this: void, model: ModelJson, special: ReadonlySet<number>): WordPieceWords | null {
    const { type, vocab } = model;
    if (type !== 'WordPiece' || typeof vocab !== 'object' || vocab === null || Array.isArray(vocab))
      return null;
    return new WordPieceWords(model, special);
  }

  encode(word: string, out: EncodedText): void {
    out.tick();
    const pieces = this.#pieces.get(word);
    if (pieces) for (const { id, length } of pieces) out.push(id, length);
    else if (this.#unknown === null) throw noTokenFor();
    else out.push(this.#unknown, word.length);
  }

  /** Null if the word is unknown. */
  #split(word: string): readonly { id: number; length: number }[] | null {
    const characters = [...word];
    if (characters.length > this.#mostCharacters) return null;
    const pieces: { id: number; length: number }[] = [];
    for (let from = 0; from < word.length; ) {
      const prefix = from === 0 ? '' : this.#prefix;
      let to = Math.min(word.length, from + this.#longest - prefix.length);
      let id: number | undefined;
      for (; to > from; to--) {
        id = this.#vocabulary.get(prefix + word.slice(from, to));
        if (id !== undefined) break;
      }
      if (id === undefined) return null;
      pieces.push({ id, length: to - from });
      from = to;
    }
    return pieces;
  }
}

type LibraryModel = NonNullable<HubTokenizer['model']>;

/** Constructors, which return null for a model of another kind or with an unsupported feature. */
const KINDS = [BpeWords.of, UnigramWords.of, WordPieceWords.of];

/** A model that does not need the library; null for a kind that only the library supports. */
export function wordModelOf(model: ModelJson, special: ReadonlySet<number>): WordModel | null {
  for (const of of KINDS) {
    const found = of(model, special);
    if (found) return found;
  }
  return null;
}

/** A kind of model that only @huggingface/tokenizers supports. */
export class LibraryWords implements WordModel {
  readonly #model: LibraryModel;
  readonly #special: ReadonlySet<number>;

  constructor(model: LibraryModel, special: ReadonlySet<number>) {
    this.#model = model;
    this.#special = special;
  }

  encode(word: string, out: EncodedText): void {
    const { tokens_to_ids, unk_token_id, fuse_unk } = this.#model;
    let left = word.length;
    for (const token of this.#model([word])) {
      const id = tokens_to_ids.get(token) ?? unk_token_id;
      if (id === undefined) throw noTokenFor();
      const length = Math.min(left, token.length);
      left -= length;
      if (id === unk_token_id) out.pushUnknown(id, length, fuse_unk);
      else if (this.#special.has(id) && word.length > 1) for (const letter of token) this.encode(letter, out);
      else out.push(id, length);
    }
    out.extend(left);
  }
}
