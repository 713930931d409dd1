import { type Program, ProgramBuilder, tf } from '@graft/tf-graph';
import { adapterValues } from './adapter-values.ts';
import type { PeftConfig } from './config.ts';
import { GraftError } from './errors.ts';
import { type BaseModel, readAdapter } from './formats/index.ts';
import { loadWeights } from './load-weights.ts';
import type { Architecture } from './models/architecture.ts';
import { architectureFor } from './models/registry.ts';
import { headLoss, lossesOfLogits } from './nn/cross-entropy.ts';
import { packedAttention } from './packed-attention.ts';
import { adapterTensors, declarePeftModel } from './peft-model.ts';
import { loadTokenizer } from './text/index.ts';

export type ScoreInput = { text: string } | { input_ids: number[] };

export interface Score {
  input_ids: number[];
  /** Natural logarithm of each token's probability given those before it; one fewer than the tokens. */
  logprobs: number[];
}

/** Lengths the program is built for: a text takes the shortest that holds it. */
const LENGTHS = [32, 128, 512, 2048];

/**
 * The float32 log-probability of each token after the first, by a base model or a PEFT model.
 * Throws `context_length_exceeded`, `invalid_token_id` and `empty_prompt`, naming the input (counted from 1).
 */
export async function* scoreTexts(options: {
  base: BaseModel;
  adapterDir?: string | null;
  input: AsyncIterable<ScoreInput> | Iterable<ScoreInput>;
}): AsyncGenerator<Score> {
  const { base } = options;
  const architecture = architectureFor(base.modelType, base.config);
  const adapter = options.adapterDir ? await readAdapter(options.adapterDir) : null;
  const lengths = [
    ...new Set(
      LENGTHS.filter((n) => n < architecture.maxPositions).concat(
        Math.min(architecture.maxPositions, LENGTHS.at(-1)! * 4),
      ),
    ),
  ];
  const { program, model } = buildScoreProgram(architecture, adapter?.config ?? null, lengths);
  try {
    await loadWeights(program, base, architecture, 'float32');
    if (adapter) await program.write([['adapter', adapterValues(model, adapter.tensors)]]);
    const tokenizer = loadTokenizer(base.tokenizerFiles);
    let line = 0;
    for await (const input of options.input) {
      line++;
      const ids =
        'text' in input ? [...tokenizer.encode(input.text, { addSpecialTokens: true })] : input.input_ids;
      check(ids, line, architecture, lengths.at(-1)!);
      yield { input_ids: ids, logprobs: [...scoreOne(program, ids, lengths)] };
    }
  } finally {
    program.close();
  }
}

function buildScoreProgram(architecture: Architecture, peft: PeftConfig | null, lengths: number[]) {
  const builder = new ProgramBuilder();
  const model = declarePeftModel(builder, architecture, peft, 'float32');
  for (const tokens of lengths) {
    const perToken = { shape: [tokens], dtype: 'int32' } as const;
    builder.function(`score_${tokens}`, { ids: perToken, segments: perToken, next: perToken }, (inputs) => {
      const grid = { rows: 1, tokens, positions: tf.range(0, tokens, 1, 'int32') };
      const parameters = adapterTensors(model);
      const attend = packedAttention(architecture, { ...grid, segments: inputs.segments! });
      const runtime = model.runtime({ parameters, attend });
      const hidden = architecture.finalNorm(runtime, architecture.body(runtime, inputs.ids!, grid));
      const head = architecture.languageHead;
      const { losses } =
        head === null || model.wraps(head)
          ? lossesOfLogits(architecture.logits!(runtime, hidden), inputs.next!)
          : headLoss(
              hidden,
              model.weight(`${head}.weight`, parameters)!,
              inputs.next!,
              tf.zeros([tokens]),
              false,
            );
      return { logprobs: tf.neg(losses) };
    });
  }
  return { program: builder.build(), model };
}

function scoreOne(program: Program, ids: number[], lengths: number[]): Float32Array {
  const tokens = lengths.find((n) => n >= ids.length)!;
  const fill = (values: ArrayLike<number>) => {
    const padded = new Int32Array(tokens);
    padded.set(values);
    return padded;
  };
  const feeds = { ids: fill(ids), segments: fill(ids.map(() => 1)), next: fill(ids.slice(1)) };
  return (program.run(`score_${tokens}`, feeds).logprobs!.data as Float32Array).subarray(0, ids.length - 1);
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
