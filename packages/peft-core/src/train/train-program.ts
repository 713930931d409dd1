import { type Program, ProgramBuilder, tf } from '@graft/tf-graph';
import type { PeftConfig, ResolvedTraining } from '../config.ts';
import type { Architecture } from '../models/architecture.ts';
import { headLoss, lossesOfLogits } from '../nn/cross-entropy.ts';
import type { RandomState } from '../nn/dropout.ts';
import { type MatmulPrecision, withMatmulPrecision } from '../nn/matmul.ts';
import { takeRows } from '../nn/rows.ts';
import { packedAttention } from '../packed-attention.ts';
import { adapterTensors, declarePeftModel, type ParameterTensors, type PeftModel } from '../peft-model.ts';
import type { BaseStorage } from '../stored-weights.ts';
import type { GridShape } from '../text/index.ts';
import { adamW, clipGradients } from './optimizer.ts';

/** Training options that are part of the graph. */
export const GRAPH_OPTIONS = [
  'gradient_accumulation_steps',
  'gradient_checkpointing',
  'adam_beta1',
  'adam_beta2',
  'adam_epsilon',
  'weight_decay',
  'max_grad_norm',
] as const;
export type GraphOptions = Pick<ResolvedTraining, (typeof GRAPH_OPTIONS)[number]>;

export interface TrainProgramSpec {
  architecture: Architecture;
  peft: PeftConfig;
  training: GraphOptions;
  storage: BaseStorage;
  precision: MatmulPrecision;
  /** Static shape of a training micro-batch. */
  grid: GridShape;
  /** Static shape of an evaluation batch; null without validation data. */
  evaluationGrid: GridShape | null;
}

/** The program that trains: functions `step`, or `accumulate` and `apply`, `evaluate`, and `fold` where the files hold something else than what is trained. */
export interface TrainProgram {
  program: Program;
  model: PeftModel;
}

/** Names of the flat state variables, in the order of a checkpoint. */
export const STATE = ['adapter', 'exp_avg', 'exp_avg_sq'] as const;

export function buildTrainProgram(spec: TrainProgramSpec, eager = false): TrainProgram {
  const { training, grid } = spec;
  const builder = new ProgramBuilder();
  const model = declarePeftModel(builder, spec.architecture, spec.peft, spec.storage, 'trained');
  const adapter = model.adapter!;
  const flat = { shape: [model.layout.size] };
  const expAvg = builder.variable({ name: 'exp_avg', ...flat });
  const expAvgSq = builder.variable({ name: 'exp_avg_sq', ...flat });
  const scalar = { shape: [], dtype: 'float32' } as const;
  const define: ProgramBuilder['function'] = (name, inputs, body) =>
    builder.function(name, inputs, (given) => withMatmulPrecision(spec.precision, () => body(given)));
  const stepInputs = { learning_rate: scalar, step_size: scalar, root_correction: scalar };

  function update(gradients: tf.Tensor, step: Record<string, tf.Tensor>): tf.Tensor {
    const { clipped, norm } = clipGradients(gradients, training.max_grad_norm);
    const scalars = {
      learningRate: step.learning_rate!,
      stepSize: step.step_size!,
      rootCorrection: step.root_correction!,
    };
    const before = { parameters: adapter.read(), expAvg: expAvg.read(), expAvgSq: expAvgSq.read() };
    const after = adamW(before, clipped, scalars, training, model.layout);
    adapter.assign(after.parameters);
    expAvg.assign(after.expAvg);
    expAvgSq.assign(after.expAvgSq);
    return norm;
  }

  if (training.gradient_accumulation_steps === 1) {
    define(
      'step',
      { ...batchInputs(grid), seed: { shape: [2], dtype: 'int32' }, ...stepInputs },
      (inputs) => {
        const { loss, correct, gradients } = lossAndGradients(
          model,
          grid,
          inputs,
          training.gradient_checkpointing,
        );
        return { loss, correct, norm: update(gradients, inputs) };
      },
    );
  } else {
    const sum = builder.variable({ name: 'gradient_sum', ...flat });
    define('accumulate', { ...batchInputs(grid), seed: { shape: [2], dtype: 'int32' } }, (inputs) => {
      const { loss, correct, gradients } = lossAndGradients(
        model,
        grid,
        inputs,
        training.gradient_checkpointing,
      );
      sum.assign(tf.add(sum.read(), gradients));
      return { loss, correct };
    });
    define('apply', stepInputs, (inputs) => {
      const gradients = sum.read();
      const norm = update(gradients, inputs);
      sum.assign(tf.zeros([model.layout.size]));
      return { norm };
    });
  }
  const { fold } = model;
  if (fold) define('fold', {}, () => Object.fromEntries(fold(adapterTensors(model))));
  if (spec.evaluationGrid) {
    const grid = spec.evaluationGrid;
    define('evaluate', batchInputs(grid), (inputs) => {
      const { total, correct } = lossOf(model, grid, inputs, adapterTensors(model), null);
      return { loss: total, correct };
    });
  }
  return { program: eager ? builder.buildEager() : builder.build(), model };
}

function batchInputs({ rows, tokens, labels }: GridShape) {
  const perToken = { shape: [rows * tokens], dtype: 'int32' } as const;
  const perLabel = { shape: [labels], dtype: 'int32' } as const;
  return {
    ids: perToken,
    positions: perToken,
    segments: perToken,
    label_positions: perLabel,
    label_ids: perLabel,
    label_scales: { shape: [labels], dtype: 'float32' } as const,
  };
}

/** Loss of a micro-batch and its flat gradients. `loss` is Σ scale · −log p, so the scales decide what is averaged. */
function lossAndGradients(
  model: PeftModel,
  grid: GridShape,
  inputs: Record<string, tf.Tensor>,
  checkpointing: boolean,
) {
  let correct: tf.Tensor | undefined;
  const parameters = [...adapterTensors(model).values()];
  const names = model.layout.entries.map((e) => e.name);
  const random: RandomState = { seed: inputs.seed!, stream: 0 };
  const constants: tf.Tensor[] = [];
  const { value: loss, grads } = tf.valueAndGrads((...tensors) => {
    const byName: ParameterTensors = new Map(names.map((name, i) => [name, tensors[i] as tf.Tensor]));
    const result = lossOf(model, grid, inputs, byName, { random, constants, checkpointing });
    correct = tf.keep(result.correct);
    return result.total as tf.Scalar;
  })(parameters);
  tf.dispose(constants);
  return { loss, correct: correct!, gradients: model.layout.join(grads) };
}

function lossOf(
  model: PeftModel,
  { rows, tokens }: GridShape,
  inputs: Record<string, tf.Tensor>,
  parameters: ParameterTensors,
  training: { random: RandomState; constants: tf.Tensor[]; checkpointing: boolean } | null,
): { total: tf.Tensor; correct: tf.Tensor } {
  const packed = { rows, tokens, segments: inputs.segments!, positions: inputs.positions! };
  const attend = packedAttention(model.architecture, packed, training ?? {});
  const runtime = model.runtime({ parameters, attend, ...(training ?? {}) });
  const hidden = model.architecture.body(runtime, inputs.ids!, {
    rows,
    tokens,
    positions: inputs.positions!,
  });
  // The head is the widest layer: only positions that carry a label reach it.
  const labelled = model.architecture.finalNorm(runtime, takeRows(hidden, inputs.label_positions!));
  const [labels, scales] = [inputs.label_ids!, inputs.label_scales!];
  const counted = (correct: tf.Tensor) => tf.sum(tf.mul(correct, tf.cast(tf.greater(scales, 0), 'float32')));
  const { languageHead } = model.architecture;
  if (languageHead === null || model.wraps(languageHead)) {
    const { losses, correct } = lossesOfLogits(model.architecture.logits!(runtime, labelled), labels);
    return { total: tf.sum(tf.mul(losses, scales)), correct: counted(correct) };
  }
  const head = model.weight(`${languageHead}.weight`, parameters)!;
  const { total, correct } = headLoss(labelled, head, labels, scales, training !== null);
  return { total, correct: counted(correct) };
}
