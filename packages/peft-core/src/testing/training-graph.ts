// Programs of training steps of any size, for tests that read their graph or run them on zeros: no model files are needed.
import { type RecordedFunction, recordFunctions, type TypedArray } from '@graft/tf-graph';
import type { Target } from '../block-sizes/limits.ts';
import {
  parsePeftConfig,
  type ResolvedTraining,
  resolveTraining,
  type TrainingOptions,
} from '../config/index.ts';
import { type JobParts, jobParts } from '../estimate/job-parts.ts';
import { architectureFor } from '../models/registry.ts';
import { layingOutFor } from '../nn/computation.ts';
import { buildTrainProgram, type TrainProgram, type TrainProgramSpec } from '../train/train-program.ts';
import type { BaseStorage } from '../weights/base-storage.ts';
import { NF4_TABLE } from '../weights/base-storage.ts';
import { weightGroups } from '../weights/stored-weights.ts';

export interface TrainingGraph {
  /** Fields of config.json. */
  config: Record<string, unknown>;
  peft?: Record<string, unknown>;
  rows: number;
  tokens: number;
  /** Number of labelled positions; default all. */
  labels?: number;
  storage?: BaseStorage;
  precision?: 'fp32' | 'bf16';
  training?: Partial<TrainingOptions>;
}

/** r 16 on all linear modules. */
export const everywhere = { peft_type: 'LORA', r: 16, lora_alpha: 32, target_modules: 'all-linear' };

export function specOf({
  config,
  peft = everywhere,
  rows,
  tokens,
  labels = rows * tokens,
  storage = 'float32',
  precision = 'fp32',
  training = {},
}: TrainingGraph): TrainProgramSpec {
  const parsed = parsePeftConfig(peft);
  return {
    architecture: architectureFor(`${config.model_type}`, config, 'CAUSAL_LM'),
    objective: 'next_token',
    peft: parsed,
    form: 'trained',
    storage,
    precision,
    implementation: 'stock',
    training: resolveTraining({ peft: parsed, training: { precision, ...training }, exampleCount: 64 }),
    grid: { rows, tokens, inputTokens: 0, labels, sequences: 1, spans: rows },
    evaluationGrid: null,
  };
}

/** The same job in the form that the estimate uses, with examples of whole rows. */
export function partsOfGraph(graph: TrainingGraph, device: Target = 'gpu'): JobParts {
  const { config, rows, tokens, labels = rows * tokens, precision = 'fp32' } = graph;
  const { peft, training, storage, grid } = specOf(graph);
  const names = { float32: 'fp32', bfloat16: 'bf16', int8: 'int8', nf4: 'nf4' } as const;
  const options = { ...(training as ResolvedTraining), batch_size: rows, base_dtype: names[storage] };
  const size = { widths: [tokens], inputWidth: 0, labels: labels / rows, tokens };
  const data = {
    format: 'text',
    labels: null,
    validation: null,
    training: { examples: rows, sizes: Array.from({ length: rows }, () => size) },
  } as const;
  const machine = { device, precision, threads: 1, kernels: false, flops: null };
  const parts = jobParts({ modelConfig: config, peft, training: options, data }, machine);
  const batches = { ...parts.batches, shape: grid, attended: { own: tokens, input: 0 } };
  return { ...parts, batches };
}

/** The functions of an optimizer step in a graph for `target`; the model can have any size, because no weights are loaded. */
export async function recordedUpdate(
  graph: TrainingGraph,
  target: Target = 'gpu',
): Promise<RecordedFunction[]> {
  return await recordFunctions(() =>
    layingOutFor(target, async () => buildTrainProgram(specOf(graph)).program.close()),
  );
}

/** Writes zeros into everything that a step reads. */
export async function fillWithZeros({ program, model }: TrainProgram, spec: TrainProgramSpec): Promise<void> {
  const { architecture, storage } = spec;
  const flat = [model.layout.size];
  const groups = weightGroups(architecture, storage, false, model.stacks);
  const frozen = groups.flatMap(({ name, parts }) =>
    parts.map(({ suffix, shape, dtype }) => ({ name: name + suffix, shape, dtype })),
  );
  const table = storage === 'nf4' ? [{ ...NF4_TABLE, dtype: 'float32' }] : [];
  const state = ['adapter', 'exp_avg', 'exp_avg_sq'].map((name) => ({ name, shape: flat, dtype: 'float32' }));
  function* zeros(): Generator<[string, TypedArray]> {
    for (const { name, shape, dtype } of [...table, ...frozen, ...state]) {
      const size = shape.reduce((product, length) => product * length, 1);
      yield [name, zerosOf(dtype, size)];
    }
  }
  await program.write(zeros());
}

/** Zeros for all inputs of a step. */
export function zeroFeeds(inputs: Record<string, { shape: readonly number[]; dtype: string } | undefined>) {
  const feeds = Object.entries(inputs).map(([name, input]) => {
    const size = input!.shape.reduce((product, length) => product * length, 1);
    return [name, zerosOf(input!.dtype, size)];
  });
  return Object.fromEntries(feeds);
}

function zerosOf(dtype: string, size: number): TypedArray {
  switch (dtype) {
    case 'bfloat16':
      return new Uint16Array(size);
    case 'int8':
      return new Int8Array(size);
    case 'uint8':
      return new Uint8Array(size);
    case 'int32':
      return new Int32Array(size);
    default:
      return new Float32Array(size);
  }
}
