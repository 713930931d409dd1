import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import type { Pattern, Step } from './step.ts';

/** Steps that only @huggingface/tokenizers supports. Throws for a type that it does not know. */
export function libraryNormalizer(step: Step): (text: string) => string {
  const normalizer = tokenizerWith({ normalizer: step }).normalizer!;
  return (text) => normalizer(text) as string;
}

export function libraryPreTokenizer(step: Step): (text: string, isStart: boolean) => string[] {
  const preTokenizer = tokenizerWith({ pre_tokenizer: step }).pre_tokenizer!;
  return (text, isStart) => preTokenizer(text, { section_index: isStart ? 0 : 1 });
}

/** A pattern as a global regular expression. The library translates the syntax of Oniguruma. */
export function regexOf({ Regex, String: literal }: Pattern): RegExp {
  if (Regex === undefined) return new RegExp((literal ?? '').replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&'), 'gu');
  const split = { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false };
  const { pattern } = tokenizerWith({ pre_tokenizer: split }).pre_tokenizer as unknown as { pattern: RegExp };
  return pattern;
}

function tokenizerWith(parts: { normalizer?: Step; pre_tokenizer?: Step }): HubTokenizer {
  const none = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
  };
  return new HubTokenizer({ ...none, ...parts, model: { type: 'WordPiece', vocab: {}, unk_token: '' } }, {});
}
