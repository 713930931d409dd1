import type { EncodedText } from '../encoded-text.ts';
import { WordCache } from './word-cache.ts';
import { type ModelJson, noTokenFor, type WordModel } from './word-model.ts';

/** Takes the longest piece in the vocabulary, repeatedly from left to right. */
export class WordPieceWords implements WordModel {
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
