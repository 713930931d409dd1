import { adapterArchitecture } from '../adapter-architecture.ts';
import { adapterValues } from '../adapter-values.ts';
import { leadingPositions } from '../config/leading-positions.ts';
import { GraftError } from '../errors.ts';
import { type BaseModel, readAdapter } from '../formats/index.ts';
import { loadWeights } from '../load-weights.ts';
import type { Architecture } from '../models/architecture.ts';
import { architectureFor } from '../models/registry.ts';
import { sequencePooling } from '../sequence-pooling.ts';
import { loadTokenizer } from '../text/index.ts';
import { buildScoreProgram } from './score-program.ts';

export type ScoreInput = { text: string } | { input_ids: number[] };

/** What a model makes of one input; which, its task decides. */
export type Score = { input_ids: number[] } & (LanguageScore | ClassifierScore | EmbeddingScore);

export interface LanguageScore {
  /** Natural logarithm of each token's probability given those before it; one fewer than the tokens. */
  logprobs: number[];
}

export interface ClassifierScore {
  /** Of each class; for TOKEN_CLS one such list for each token. */
  logits: number[] | number[][];
}

export interface EmbeddingScore {
  /** The input's vector, pooled and normalised as the base model's files say. */
  embedding: number[];
}

/** Lengths the program is built for: a text takes the shortest that holds it. */
const LENGTHS = [32, 128, 512, 2048];
const LONGEST = 8192;

/**
 * Scores by a base model or a PEFT model, in float32. The task is the adapter's, or what config.json says of the base.
 * Throws `context_length_exceeded`, `invalid_token_id` and `empty_prompt`, naming the input (counted from 1), and
 * `task_head_missing` for a classifier without a head.
 */
export async function* scoreTexts(options: {
  base: BaseModel;
  adapterDir?: string | null;
  input: AsyncIterable<ScoreInput> | Iterable<ScoreInput>;
}): AsyncGenerator<Score> {
  const { base } = options;
  const adapter = options.adapterDir ? await readAdapter(options.adapterDir) : null;
  const architecture = adapter
    ? adapterArchitecture(base, adapter)
    : architectureFor(base.modelType, base.config);
  const { virtualTokens, prefixLength } = adapter
    ? leadingPositions(adapter.config)
    : { virtualTokens: 0, prefixLength: 0 };
  const longest = Math.min(architecture.maxPositions - prefixLength, LONGEST);
  const layout = {
    virtualTokens,
    firstPosition: prefixLength,
    ...(await sequencePooling(base, architecture)),
    lengths: [...LENGTHS.filter((n) => n < longest), longest],
  };
  const { program, model, scoreOne } = buildScoreProgram(architecture, adapter?.config ?? null, layout);
  try {
    await loadWeights(program, base, architecture, 'float32', adapter === null);
    if (adapter) await program.write([['adapter', adapterValues(model, adapter.tensors)]]);
    const tokenizer = loadTokenizer(base.tokenizerFiles);
    let line = 0;
    for await (const input of options.input) {
      line++;
      const ids = 'text' in input ? tokenizer.encode(input.text) : input.input_ids;
      check(ids, line, architecture, longest - virtualTokens);
      yield { input_ids: ids, ...scoreOne(ids) };
    }
  } finally {
    program.close();
  }
}

function check(ids: number[], line: number, architecture: Architecture, longest: number): void {
  const { vocabularySize } = architecture;
  if (ids.length === 0)
    throw new GraftError('empty_prompt', `input ${line} has no tokens`, { param: 'input' });
  if (ids.length > longest)
    throw new GraftError(
      'context_length_exceeded',
      `input ${line} has ${ids.length} tokens; at most ${longest} are scored`,
      { param: 'input' },
    );
  const stray = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (stray !== undefined)
    throw new GraftError(
      'invalid_token_id',
      `input ${line}: ${stray} is not a token id; ids are 0…${vocabularySize - 1}`,
      { param: 'input_ids' },
    );
}
