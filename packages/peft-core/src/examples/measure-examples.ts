import { leadingPositions } from '../tuners/methods.ts';
import type { DataFiles } from './data-files.ts';
import { type ExampleSource, tokenizeOptions } from './example-source.ts';
import type { RawExample } from './formats/formats.ts';
import { ExampleTokenizer, lengthOf } from './tokenize-examples.ts';

/** Measurements of examples before training options are resolved. */
interface MeasuredExamples {
  /** Number of examples for training. */
  examples: number;
  /** Tokens of the longest example, including a soft prompt; `maxSeqLength` if an example was truncated or skipped. */
  longest: number;
}

/** Tokenises checked lines as training will, without keeping them. Throws the fault of lines that training rejects. */
export function measureExamples(
  raws: Iterable<RawExample>,
  source: Omit<ExampleSource, keyof DataFiles>,
): MeasuredExamples {
  const options = tokenizeOptions(source, { names: [], of: () => 0 });
  const examples = new ExampleTokenizer(source.tokenizer, options);
  const { virtualTokens, prefixLength } = leadingPositions(source.peft);
  let longest = 0;
  for (const raw of raws)
    for (const example of examples.pieces(raw)) longest = Math.max(longest, lengthOf(raw.format, example));
  const fault = examples.fault();
  if (fault) throw fault;
  const { truncated, skipped, examples: count } = examples.counts;
  const isCut = truncated + skipped > 0;
  return { examples: count, longest: isCut ? source.maxSeqLength : longest + virtualTokens + prefixLength };
}
