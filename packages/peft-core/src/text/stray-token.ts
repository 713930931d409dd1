import { show } from '../schema/check-fields.ts';
import type { Tokenizer } from './tokenizer.ts';

/** What to say of a token that the tokenizer has and the model's embedding table of `vocabularySize` rows has not. */
export function strayToken(tokenizer: Tokenizer, id: number, vocabularySize: number): string {
  return (
    `the token ${show(tokenizer.decode([id]))} with id ${id}, which the base model does not know: ` +
    `its embedding table has ${vocabularySize} rows, and the tokenizer was given more tokens`
  );
}
