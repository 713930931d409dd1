import type { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import type { EncodedText } from '../encoded-text.ts';
import { BpeWords } from './bpe-words.ts';
import { UnigramWords } from './unigram-words.ts';
import { type ModelJson, noTokenFor, type WordModel } from './word-model.ts';
import { WordPieceWords } from './word-piece-words.ts';

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
