import { type Program, ProgramBuilder, tf } from '@graft/tf-graph';
import type { PeftConfig, ResolvedTraining } from '../config/index.ts';
import type { GridShape } from '../examples/index.ts';
import type { Architecture } from '../models/architecture.ts';
import type { RandomState } from '../nn/dropout.ts';
import { type MatmulPrecision, withMatmulPrecision } from '../nn/matmul.ts';
import {
  adapterTensors,
  declarePeftModel,
  type ParameterTensors,
  type PeftModel,
} from '../peft-model/peft-model.ts';
import type { AttachmentForm } from '../tuners/tuner.ts';
import type { BaseStorage } from '../weights/stored-weights.ts';
import type { LossContext } from './objectives/loss.ts';
import { batchInputs, lossOf, type Objective } from './objectives/objective.ts';
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
  objective: Objective;
  peft: PeftConfig;
  form: AttachmentForm;
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
  objective: Objective;
}

/** Names of the flat state variables, in the order of a checkpoint. */
export const STATE = ['adapter', 'exp_avg', 'exp_avg_sq'] as const;

export function buildTrainProgram(spec: TrainProgramSpec, eager = false): TrainProgram {
  const { training, grid, objective } = spec;
  const builder = new ProgramBuilder();
  const model = declarePeftModel(builder, spec.architecture, spec.peft, spec.storage, spec.form);
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
      { ...batchInputs(objective, grid), seed: { shape: [2], dtype: 'int32' }, ...stepInputs },
      (inputs) => {
        const { loss, correct, gradients } = lossAndGradients(
          objective,
          { model, grid, inputs },
          training.gradient_checkpointing,
        );
        return { loss, correct, norm: update(gradients, inputs) };
      },
    );
  } else {
    const sum = builder.variable({ name: 'gradient_sum', ...flat });
    define(
      'accumulate',
      { ...batchInputs(objective, grid), seed: { shape: [2], dtype: 'int32' } },
      (inputs) => {
        const { loss, correct, gradients } = lossAndGradients(
          objective,
          { model, grid, inputs },
          training.gradient_checkpointing,
        );
        sum.assign(tf.add(sum.read(), gradients));
        return { loss, correct };
      },
    );
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
    define('evaluate', batchInputs(objective, grid), (inputs) =>
      evaluated(objective, { model, grid, inputs }),
    );
  }
  return { program: eager ? builder.buildEager() : builder.build(), model, objective };
}

/** The function `evaluate` alone, over a finished adapter (or the plain base model), in the precision it was trained in. */
export function buildEvaluationProgram(
  spec: Pick<TrainProgramSpec, 'architecture' | 'objective' | 'storage' | 'precision' | 'grid'> & {
    peft: PeftConfig | null;
    form: AttachmentForm;
  },
): TrainProgram {
  const { objective, grid } = spec;
  const builder = new ProgramBuilder();
  const model = declarePeftModel(builder, spec.architecture, spec.peft, spec.storage, spec.form);
  builder.function('evaluate', batchInputs(objective, grid), (inputs) =>
    withMatmulPrecision(spec.precision, () => evaluated(objective, { model, grid, inputs })),
  );
  return { program: builder.build(), model, objective };
}

type Batch = Pick<LossContext, 'model' | 'grid' | 'inputs'>;

function evaluated(objective: Objective, batch: Batch): Record<string, tf.Tensor> {
  const parameters = adapterTensors(batch.model);
  const { total, correct, predictions } = lossOf(objective, { ...batch, parameters, training: null });
  return { loss: total, correct, ...(predictions ? { predictions } : {}) };
}

/**
 * Loss of a micro-batch and its flat gradients: zero for a parameter that the model does not read, as a module's may be that
 * target_modules found. The scales that are fed decide what is averaged.
 */
function lossAndGradients(objective: Objective, batch: Batch, checkpointing: boolean) {
  const { model, inputs } = batch;
  let correct: tf.Tensor | undefined;
  const parameters = [...adapterTensors(model).values()];
  const names = model.layout.entries.map((e) => e.name);
  const random: RandomState = { seed: inputs.seed!, stream: 0 };
  const constants: tf.Tensor[] = [];
  const forward = () => {
    const byName: ParameterTensors = new Map(names.map((name, i) => [name, parameters[i]!]));
    const training = { random, constants, checkpointing };
    const result = lossOf(objective, { ...batch, parameters: byName, training });
    correct = tf.keep(result.correct);
    return result.total;
  };
  const { value: loss, grads } = tf.engine().gradients(forward, parameters, undefined, true);
  tf.dispose(constants);
  const all = parameters.map((parameter, i) => grads[i] ?? tf.zeros(parameter.shape));
  return { loss, correct: correct!, gradients: model.layout.join(all) };
}
