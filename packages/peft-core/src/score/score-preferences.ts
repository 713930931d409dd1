import { comparesCompletions, parsePeftConfig } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import {
  NO_TARGET,
  type RawExample,
  readingOptions,
  type Sequence,
  tokenizeExamples,
  tokenizeOptions,
} from '../examples/index.ts';
import type { BaseModel } from '../files.ts';
import { outlineOf } from '../outlines/index.ts';
import { readFittingAdapter } from '../peft-model/adapter-fit.ts';
import { loadTokenizerWith } from '../text/index.ts';
import { defaultPeft } from '../tuners/methods.ts';
import type { LanguageScore } from './score.ts';
import { MAX_SCORED_TOKENS, scoreTexts } from './score-texts.ts';

/** The log-probability of a completion after its prompt. */
export interface CompletionScore {
  /** The sum of `logprobs`. */
  logprob: number;
  /** Natural logarithm of the probability of each token that training learns, in order. */
  logprobs: number[];
}

export type PreferenceScore = { line: number; chosen: CompletionScore; rejected: CompletionScore };

/**
 * Scores both completions of checked preference lines by a base model or a PEFT model, in float32, with the tokens and the chat template of
 * training; the prompt is computed once. Throws `invalid_jsonl` for lines of another format, the faults of tokenising, which name the
 * lines, and what `scoreTexts` throws.
 */
export async function* scorePreferences(options: {
  base: BaseModel;
  adapterDir?: string | null;
  examples: readonly RawExample[];
}): AsyncGenerator<PreferenceScore> {
  const { base, adapterDir = null, examples } = options;
  const other = examples.find(({ format }) => !comparesCompletions(format));
  if (other)
    throw new GraftError('invalid_jsonl', `line ${other.line} does not compare two completions`, {
      param: 'input',
    });
  const adapter = adapterDir === null ? null : (await readFittingAdapter(base, adapterDir)).adapter;
  const source = {
    peft: adapter?.config ?? parsePeftConfig(defaultPeft),
    tokenizer: loadTokenizerWith(base.tokenizerFiles, adapter?.chatTemplate ?? null),
    modelConfig: base.config,
    ...readingOptions({
      max_seq_length: Math.min(outlineOf(base.config).maxPositions, MAX_SCORED_TOKENS),
      overlong: 'error',
      allow_special_tokens: false,
      text_stride: 0,
      ...(adapter?.templateKwargs ? { chat_template_kwargs: adapter.templateKwargs } : {}),
    }),
  };
  const tokenized = tokenizeExamples(source.tokenizer, examples, {
    ...tokenizeOptions(source, null),
    // Nothing is learned here: without an invocation the answer is the base model's.
    invocation: null,
  });
  const sequences = tokenized.flatMap((example) => example.sequences);
  const input = sequences.map(({ ids, targets }) => ({ input_ids: [...ids, targets!.at(-1)!] }));
  let chosen: CompletionScore | null = null;
  let n = 0;
  for await (const score of scoreTexts({ base, adapterDir, input })) {
    const own = completionOf(sequences[n]!, (score as LanguageScore).logprobs);
    if (n % 2 === 0) chosen = own;
    else yield { line: tokenized[(n - 1) / 2]!.line, chosen: chosen!, rejected: own };
    n++;
  }
}

function completionOf({ targets }: Sequence, all: readonly number[]): CompletionScore {
  const logprobs = all.filter((_, t) => targets![t] !== NO_TARGET);
  return { logprob: logprobs.reduce((sum, each) => sum + each, 0), logprobs };
}
