import type { Tokenizer } from './tokenizer.ts';

const known = new WeakMap<Tokenizer, Map<string, number>>();

/**
 * Number of tokens at the start of a text that are its prompt's, special tokens before it included. Counted as sentence-transformers does
 * (`_get_prompt_length`): the tokens of the prompt alone, without the special token at the end.
 */
export function promptLength(tokenizer: Tokenizer, prompt: string): number {
  if (prompt === '') return 0;
  const lengths = known.get(tokenizer) ?? new Map<string, number>();
  known.set(tokenizer, lengths);
  const length =
    lengths.get(prompt) ??
    tokenizer.encode(prompt).length - Math.min(1, tokenizer.specialTokensAround().after.length);
  lengths.set(prompt, length);
  return length;
}
