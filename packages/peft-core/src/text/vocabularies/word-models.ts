import type { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import type { EncodedText } from '../encoded-text.ts';
import { BpeWords } from './bpe-words.ts';
import { UnigramWords } from './unigram-words.ts';
import { type ModelJson, noTokenFor, type WordModel } from './word-model.ts';
import { WordPieceWords } from './word-piece-words.ts';

type LibraryModel = NonNullable<HubTokenizer['model']>;

/** Each answers null to a model that is not of its kind, or has something that it does not know. */
const KINDS = [BpeWords.of, UnigramWords.of, WordPieceWords.of];

/** A model that needs nothing of the library; null for a kind that only the library knows. */
export function wordModelOf(model: ModelJson, special: ReadonlySet<number>): WordModel | null {
  for (const of of KINDS) {
    const found = of(model, special);
    if (found) return found;
  }
  return null;
}

/** A kind of model that only @huggingface/tokenizers knows. */
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
