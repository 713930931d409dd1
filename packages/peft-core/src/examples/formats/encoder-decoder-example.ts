import { show } from '../../schema/check-fields.ts';
import type { Tokenized } from './format.ts';
import { BadExample, type Reading } from './reading.ts';

/** The encoder's input is the whole tokenised input; the decoder's targets are the target text and the end token. */
export function encoderDecoderExample(
  input: string,
  target: string,
  reading: Reading,
  allowSpecialTokens: boolean,
): Tokenized {
  const { tokenizer, options, deadline } = reading;
  const specialTokens = allowSpecialTokens || options.allowSpecialTokens ? 'all' : 'none';
  const inputIds = reading.textIds(input, specialTokens);
  const { repeatsBos = false } = options;
  const whole = tokenizer.withEos(tokenizer.encode(target, { specialTokens, repeatsBos, deadline }));
  if (whole.length === 0)
    throw new BadExample('example_empty', `has no target tokens: its target, ${show(target)}, is empty`);
  const end = whole.slice(tokenizer.withoutEos(whole).length);
  const targets = Int32Array.from(reading.fit(whole, end, false));
  const ids = Int32Array.from([options.decoderStart!, ...targets.subarray(0, -1)]);
  return { sequences: [{ ids, input: inputIds, targets }], tokens: inputIds.length + targets.length };
}
