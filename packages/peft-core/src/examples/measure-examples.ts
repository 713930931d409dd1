import { leadingPositions } from '../tuners/methods.ts';
import { type ExampleSource, tokenizeOptions } from './example-source.ts';
import type { RawExample } from './formats/formats.ts';
import { ExampleTokenizer, lengthOf } from './tokenize-examples.ts';

/** What examples come to before training fixes its options. */
interface MeasuredExamples {
  /** That training has. */
  examples: number;
  /** Tokens of the longest, and of a soft prompt before it; `maxSeqLength` where one was cut or left out. */
  longest: number;
}

/** Tokenises checked lines as training will, and keeps none. Lines that it cannot use are left to training to refuse. */
export function measureExamples(
  raws: Iterable<RawExample>,
  source: Omit<ExampleSource, 'trainingFile' | 'validationFile'>,
): MeasuredExamples {
  const options = tokenizeOptions(source, { names: [], of: () => 0 });
  const examples = new ExampleTokenizer(source.tokenizer, options);
  const { virtualTokens, prefixLength } = leadingPositions(source.peft);
  let longest = 0;
  for (const raw of raws)
    for (const example of examples.pieces(raw)) longest = Math.max(longest, lengthOf(raw.format, example));
  const { truncated, skipped, examples: count } = examples.counts;
  const isCut = truncated + skipped > 0;
  return { examples: count, longest: isCut ? source.maxSeqLength : longest + virtualTokens + prefixLength };
}
