import { GraftError } from '../../errors.ts';
import { show } from '../../schema/check-fields.ts';

/**
 * Ids of `count` virtual tokens that begin as `text`: its tokens, repeated or cut, as PEFT has them. Throws `invalid_peft_config`
 * for a text without tokens, or with one beyond the `vocabularySize` rows of the model's embedding table.
 */
export function textRows(
  text: string,
  encode: (text: string) => number[],
  { count, vocabularySize }: { count: number; vocabularySize: number },
): number[] {
  const ids = encode(text);
  const refuse = (message: string) =>
    new GraftError('invalid_peft_config', `prompt_tuning_init_text: ${message}`, {
      param: 'peft.prompt_tuning_init_text',
    });
  if (ids.length === 0) throw refuse(`${show(text)} has no tokens to start from`);
  const stray = ids.find((id) => id >= vocabularySize);
  if (stray !== undefined)
    throw refuse(
      `has a token with id ${stray}, which the base model does not know: its embedding table has ${vocabularySize} rows`,
    );
  return Array.from({ length: count }, (_, i) => ids[i % ids.length]!);
}
