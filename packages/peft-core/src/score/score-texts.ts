import { GraftError } from '../errors.ts';
import { type BaseModel, sequencePooling } from '../files.ts';
import { architectureFor } from '../models/registry.ts';
import { readFittingAdapter } from '../peft-model/adapter-fit.ts';
import { adapterValues } from '../peft-model/adapter-values.ts';
import { readsBaseHead } from '../peft-model/peft-model.ts';
import { loadTokenizer, type Tokenizer } from '../text/index.ts';
import { leadingPositions } from '../tuners/methods.ts';
import { loadWeights } from '../weights/load-weights.ts';
import { buildPairScoreProgram, type PairScoreProgram } from './pair-score-program.ts';
import type { Score } from './score.ts';
import { buildScoreProgram, type ScoreProgram } from './score-program.ts';

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
/** Maximum number of tokens of a text. */
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

/** A program, and the function that scores inputs with it. */
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
