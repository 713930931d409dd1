import type { Tokenizer } from './tokenizer.ts';

/**
 * Number of tokens at the start of a text that are its prompt's, special tokens before it included. Counted as sentence-transformers does
 * (`_get_prompt_length`): the tokens of the prompt alone, without the special token at the end.
 */
export function promptLength(tokenizer: Tokenizer, prompt: string): number {
  if (prompt === '') return 0;
  return tokenizer.encode(prompt).length - Math.min(1, tokenizer.specialTokensAround().after.length);
}
