import { type Program, ProgramBuilder, tf } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import { type BaseModel, sequencePooling } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';
import { architectureFor } from '../models/registry.ts';
import { readFittingAdapter } from '../peft-model/adapter-fit.ts';
import { adapterValues } from '../peft-model/adapter-values.ts';
import { packedForward } from '../peft-model/packed-forward.ts';
import { adapterTensors, declarePeftModel, type PeftModel, readsBaseHead } from '../peft-model/peft-model.ts';
import { loadTokenizer, type Tokenizer } from '../text/index.ts';
import { leadingPositions } from '../tuners/methods.ts';
import { loadWeights } from '../weights/load-weights.ts';
import { logProbabilities } from './log-probabilities.ts';
import type { Score } from './score.ts';
import { buildScoreProgram, type ScoreLayout, type ScoreProgram } from './score-program.ts';

/** A text, with a target for an encoder-decoder. */
export type ScoreInput =
  | { text: string; target?: string }
  | {
      input_ids: number[];
      /** Token ids of the target, including the end-of-text token. */
      labels?: number[];
    };

/** Lengths for which the program has functions. A text is padded to the smallest that holds it. */
const LENGTHS = [32, 128, 256, 512, 1024, 2048];
export const MAX_SCORED_TOKENS = 8192;

/**
 * Scores inputs by a base model or a PEFT model, in float32. For a causal model several inputs are read ahead, and a common prefix
 * is computed once. The task is the adapter's, or the base model's.
 * Throws `context_length_exceeded`, `invalid_token_id`, `empty_prompt`, `target_missing` and `target_unexpected`, which name the input
 * (counted from 1), `task_head_missing` for a classifier without a head, and what `readFittingAdapter` throws.
 */
export async function* scoreTexts(options: {
  base: BaseModel;
  adapterDir?: string | null;
  input: Inputs;
}): AsyncGenerator<Score> {
  const { base } = options;
  const fitting = options.adapterDir ? await readFittingAdapter(base, options.adapterDir) : null;
  const adapter = fitting?.adapter ?? null;
  const architecture = fitting?.architecture ?? architectureFor(base.modelType, base.config);
  const { virtualTokens, prefixLength } = adapter
    ? leadingPositions(adapter.config)
    : { virtualTokens: 0, prefixLength: 0 };
  const longest = Math.min(architecture.maxPositions - prefixLength, MAX_SCORED_TOKENS);
  const layout = {
    firstPosition: prefixLength,
    ...(await sequencePooling(base.path, architecture)),
    lengths: [...LENGTHS.filter((n) => n < longest), longest],
  };
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  const checks = { vocabularySize: architecture.vocabularySize, longest: longest - virtualTokens };
  const { program, model, scores } = architecture.encoder
    ? pairScorer(buildPairScoreProgram(architecture, adapter?.config ?? null, layout), tokenizer, checks)
    : textScorer(buildScoreProgram(architecture, adapter?.config ?? null, layout), tokenizer, checks);
  try {
    const withHead = readsBaseHead(architecture, adapter?.config ?? null);
    await loadWeights(program, base, architecture, 'float32', { withHead });
    if (adapter) await program.write([['adapter', adapterValues(model, adapter.tensors)]]);
    yield* scores(options.input);
  } finally {
    program.close();
  }
}

/** Yields groups of `size` items. Before an error is thrown, the items before it are yielded. */
async function* inGroups<T>(each: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let group: T[] = [];
  try {
    for await (const one of each) {
      group.push(one);
      if (group.length < size) continue;
      const whole = group;
      group = [];
      yield whole;
    }
  } catch (error) {
    if (group.length > 0) yield group;
    throw error;
  }
  if (group.length > 0) yield group;
}

interface Pair {
  input_ids: number[];
  labels: number[];
}

type Inputs = AsyncIterable<ScoreInput> | Iterable<ScoreInput>;

interface Scorer extends Pick<ScoreProgram, 'program' | 'model'> {
  scores(inputs: Inputs): AsyncGenerator<Score>;
}

/** `prepare` validates an input and throws its faults; `score` takes up to `atOnce` prepared inputs. */
function scorer<Prepared>(
  { program, model }: Pick<ScoreProgram, 'program' | 'model'>,
  atOnce: number,
  prepare: (input: ScoreInput, line: number) => Prepared,
  score: (prepared: Prepared[]) => Score[],
): Scorer {
  async function* prepared(inputs: Inputs): AsyncGenerator<Prepared> {
    let line = 0;
    for await (const input of inputs) yield prepare(input, ++line);
  }
  async function* scores(inputs: Inputs): AsyncGenerator<Score> {
    for await (const group of inGroups(prepared(inputs), atOnce)) yield* score(group);
  }
  return { program, model, scores };
}

interface Checks {
  vocabularySize: number;
  longest: number;
}

function textScorer(built: ScoreProgram, tokenizer: Tokenizer, checks: Checks): Scorer {
  const prepare = (input: ScoreInput, line: number): number[] => {
    if ('target' in input || 'labels' in input)
      throw new GraftError(
        'target_unexpected',
        `input ${line} has a target, which only encoder-decoder models have; give "text" or "input_ids" alone`,
        { param: 'input' },
      );
    const ids = 'text' in input ? tokenizer.encode(input.text) : input.input_ids;
    check(ids, line, 'input_ids', checks);
    return ids;
  };
  return scorer(built, built.atOnce, prepare, (inputs) =>
    built.score(inputs).map((score, i) => ({ input_ids: inputs[i]!, ...score })),
  );
}

function pairScorer(built: PairScoreProgram, tokenizer: Tokenizer, checks: Checks): Scorer {
  const prepare = (input: ScoreInput, line: number): Pair => {
    const [target, labels] = 'text' in input ? [input.target, undefined] : [undefined, input.labels];
    if (target === undefined && labels === undefined)
      throw new GraftError(
        'target_missing',
        `input ${line} has no target to score; give "text" and "target", or "input_ids" and "labels"`,
        { param: 'input' },
      );
    const ids = 'text' in input ? tokenizer.encode(input.text) : input.input_ids;
    const wanted = labels ?? tokenizer.withEos(tokenizer.encode(target!));
    check(ids, line, 'input_ids', checks);
    check(wanted, line, 'labels', checks);
    return { input_ids: ids, labels: wanted };
  };
  return scorer(built, 1, prepare, (pairs) =>
    pairs.map((pair) => ({ ...pair, logprobs: built.scoreOne(pair.input_ids, pair.labels) })),
  );
}

function check(
  ids: number[],
  line: number,
  param: 'input_ids' | 'labels',
  { longest, vocabularySize }: Checks,
): void {
  const what = param === 'labels' ? `the target of input ${line}` : `input ${line}`;
  if (ids.length === 0) throw new GraftError('empty_prompt', `${what} has no tokens`, { param: 'input' });
  if (ids.length > longest)
    throw new GraftError(
      'context_length_exceeded',
      `${what} has ${ids.length} tokens; at most ${longest} are scored`,
      { param: 'input' },
    );
  const stray = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (stray !== undefined)
    throw new GraftError(
      'invalid_token_id',
      `${what}: ${stray} is not a token id; ids are 0…${vocabularySize - 1}`,
      { param },
    );
}

interface PairScoreProgram {
  program: Program;
  model: PeftModel;
  /** Log-probability of each label, given the input and the labels before it. Both must fit the largest length. */
  scoreOne(input: number[], labels: number[]): number[];
}

/** Scores for an encoder-decoder. The function for each pair of lengths is built at its first use. */
export function buildPairScoreProgram(
  architecture: Architecture,
  peft: PeftConfig | null,
  { firstPosition, lengths }: ScoreLayout,
): PairScoreProgram {
  const builder = new ProgramBuilder();
  const model = declarePeftModel(builder, architecture, peft, 'float32');
  const program = builder.build();
  const scoreOn = builder.onDemand(program, (inputTokens: number, tokens: number) => {
    const ints = (length: number) => ({ shape: [length], dtype: 'int32' }) as const;
    const own = { ids: ints(tokens), segments: ints(tokens), labels: ints(tokens) };
    const inputs = { input_ids: ints(inputTokens), input_segments: ints(inputTokens) };
    return builder.function(`score_${inputTokens}_${tokens}`, { ...own, ...inputs }, (fed) => {
      const grid = (tokens: number, first: number) => ({
        rows: 1,
        tokens,
        positions: tf.range(first, first + tokens, 1, 'int32'),
      });
      const parameters = adapterTensors(model);
      const { hidden, runtime } = packedForward(
        model,
        parameters,
        { ...grid(tokens, firstPosition), ids: fed.ids, segments: fed.segments },
        { ...grid(inputTokens, 0), ids: fed.input_ids, segments: fed.input_segments },
      );
      const normed = architecture.finalNorm(runtime, hidden);
      return { scores: logProbabilities(model, runtime, parameters, normed, fed.labels) };
    });
  });

  const holding = (width: number) => lengths.find((n) => n >= width)!;
  return {
    program,
    model,
    scoreOne(input, labels) {
      const ids = [...model.virtualTokens, ...input];
      const [inputTokens, tokens] = [holding(ids.length), holding(labels.length)];
      const { scores } = program.run(scoreOn(inputTokens, tokens), {
        input_ids: filled(inputTokens, ids),
        input_segments: new Int32Array(inputTokens).fill(1, 0, ids.length),
        ids: filled(tokens, [architecture.decoderStart!, ...labels.slice(0, -1)]),
        segments: new Int32Array(tokens).fill(1, 0, labels.length),
        labels: filled(tokens, labels),
      });
      return [...(scores.data as Float32Array).subarray(0, labels.length)];
    },
  };
}

/** An array with `values`, padded with zeros. */
function filled(length: number, values: number[]): Int32Array {
  const array = new Int32Array(length);
  array.set(values);
  return array;
}
