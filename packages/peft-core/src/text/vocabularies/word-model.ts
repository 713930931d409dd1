import { GraftError } from '../../errors.ts';
import type { EncodedText } from '../encoded-text.ts';

/** Encodes one word from the pre-tokeniser, or a whole section if that splits nothing. */
export interface WordModel {
  /** Lengths are UTF-16 units of the word. Plain text is never encoded as a special token. */
  encode(word: string, out: EncodedText): void;
}

export interface ModelJson {
  type?: string;
  vocab?: unknown;
  merges?: unknown;
  unk_token?: string | null;
  unk_id?: number | null;
  fuse_unk?: boolean;
  byte_fallback?: boolean;
  continuing_subword_prefix?: string | null;
  continuing_subword_suffix?: string | null;
  end_of_word_suffix?: string | null;
  max_input_chars_per_word?: number;
  ignore_merges?: boolean;
  dropout?: number | null;
}

export function noTokenFor(): GraftError {
  return new GraftError('unsupported_tokenizer', 'the tokenizer has no token for a part of the text', {
    param: 'model',
  });
}
