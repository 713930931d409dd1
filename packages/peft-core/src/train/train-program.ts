import {
  compilesOperations,
  type InputSpec,
  type InputTensors,
  type Program,
  ProgramBuilder,
  type ProgramFunction,
  type RunOutput,
  scalarOf,
  tf,
  type Variable,
} from '@graft/tf-graph';
import type { PeftConfig, ResolvedTraining } from '../config/index.ts';
import type { GridShape } from '../examples/index.ts';
import type { Architecture } from '../models/architecture.ts';
import { type Implementation, type MatmulPrecision, withComputation } from '../nn/computation.ts';
import type { ObjectiveName } from '../objectives/objectives.ts';
import type { FoldFunction } from '../peft-model/adapter-values.ts';
import { adapterTensors, attachAdapter, declarePeftModel, type PeftModel } from '../peft-model/peft-model.ts';
import type { AttachmentForm } from '../tuners/tuner.ts';
import type { BaseStorage } from '../weights/base-storage.ts';
import { noiseInputs } from './objectives/embedding-noise.ts';
import { batchInputs, evaluated, losses, lossOf } from './objectives/losses.ts';
import type {
  BatchOf,
  LossOptions,
  MiniBatchPass,
  PassInputs,
  WholeMeasure,
} from './objectives/objective-loss.ts';
import { lossAndGradients } from './objectives/passes.ts';
import { adamW, averaged, clipGradients } from './update/optimizer.ts';
import { withSuffix } from './update/with-suffix.ts';

const GRAPH_OPTIONS = [
  'gradient_accumulation_steps',
  'gradient_checkpointing',
  'adam_beta1',
  'adam_beta2',
  'adam_epsilon',
  'weight_decay',
  'max_grad_norm',
  'loraplus_lr_ratio',
  'loraplus_lr_embedding',
  'label_smoothing_factor',
] as const;
export type GraphOptions = Pick<
  ResolvedTraining,
  (typeof GRAPH_OPTIONS)[number] | 'learning_rate' | 'neftune_noise_alpha' | 'ema_decay'
>;

export const graphKey = (training: GraphOptions): unknown[] => [
  ...GRAPH_OPTIONS.map((name) => training[name]),
  // The rate is fed to each step, but the graph contains the embeddings' rate relative to the peak.
  training.loraplus_lr_ratio === undefined ? null : training.learning_rate,
  // The noise scale is fed, too.
  Boolean(training.neftune_noise_alpha),
  training.ema_decay !== undefined,
];

export interface TrainProgramSpec {
  architecture: Architecture;
  objective: ObjectiveName;
  /** Number of classes of texts that may have several. Absent: 0. */
  classes?: number;
  /** `lossOptions` of the training. Absent: the loss reads none. */
  options?: LossOptions;
  peft: PeftConfig;
  form: AttachmentForm;
  training: GraphOptions;
  /** Weight of each class in the training loss. Absent: all equal. */
  classWeights?: readonly number[] | null;
  storage: BaseStorage;
  precision: MatmulPrecision;
  implementation: Implementation;
  /** Static shape of a training micro-batch. */
  grid: GridShape;
  /** Static shape of an evaluation batch; null without validation data. */
  evaluationGrid: GridShape | null;
  /** Number of labels of a batch that is embedded in mini-batches of the grid's size; null or absent: the grid holds the whole batch. */
  wholeBatch?: number | null;
  /** Pairs are measured in a pool of candidates; else by batches, as before `mini_batch_size` existed. */
  retrieves?: boolean;
}

type StepInputs = Record<'learning_rate' | 'step_size' | 'root_correction', InputSpec> &
  ({ average_keeps: InputSpec } | Record<never, never>);
type SumOutputs<T> = { [sum in `sum_${string}`]: T };
type PassOutputs = { loss: tf.Tensor; correct: tf.Tensor } & SumOutputs<tf.Tensor>;
type StepOutputs = { norm: tf.Tensor };

/**
 * The functions of an optimizer step: one; with gradient accumulation one for each micro-batch and one at the end; with mini-batches
 * those of a `MiniBatchPass` for each micro-batch.
 */
export type Update =
  | { step: ProgramFunction<PassInputs & StepInputs, PassOutputs & StepOutputs> }
  | {
      accumulate: ProgramFunction<PassInputs, PassOutputs>;
      apply: ProgramFunction<StepInputs, StepOutputs>;
    }
  | { cached: MiniBatchPass; apply: ProgramFunction<StepInputs, StepOutputs> };

/** The function of an update that takes the most memory and longest to prepare. */
export const mainFunction = (update: Update) =>
  'step' in update ? update.step : 'cached' in update ? update.cached.main : update.accumulate;

/** Computes the losses of a batch and the values for metrics, or measures in the objective's own way. */
export type Evaluate =
  | { measure: ProgramFunction<BatchOf<InputSpec>, PassOutputs & { predictions: tf.Tensor | undefined }> }
  | WholeMeasure;

export interface EvaluationProgram {
  program: Program;
  model: PeftModel;
  objective: ObjectiveName;
  /** Declares the evaluation on first use; null without data to measure on. */
  evaluate: (() => Evaluate) | null;
  /** True where its functions accept as many positions as a batch has; otherwise they need those of the grid. */
  varies: boolean;
}

export interface TrainProgram extends EvaluationProgram {
  update: Update;
  /** Computes the adapter as stored in its files; null if the trained values are stored directly. */
  fold: FoldFunction | null;
  /** Declares further variables and functions beside the program's weights. */
  builder: ProgramBuilder;
}

/** Name of the flat variable with the moving average of the adapter over all steps. */
export const AVERAGE = 'average';

/** Names of the flat state variables, in the order of a checkpoint. */
export const stateOf = ({ ema_decay: decay }: Pick<ResolvedTraining, 'ema_decay'>): readonly string[] => [
  ...['adapter', 'exp_avg', 'exp_avg_sq'],
  ...(decay === undefined ? [] : [AVERAGE]),
];

export function buildTrainProgram(spec: TrainProgramSpec, eager = false): TrainProgram {
  return untilUnused(spec, (varies) => trainProgram(spec, varies, eager));
}

/**
 * Calls `build` for lists of positions as long as each batch needs, or for lists of the maximum length if a part of the model needs a
 * fixed length.
 */
function untilUnused<T>(
  { implementation, grid }: Pick<TrainProgramSpec, 'implementation' | 'grid'>,
  build: (varies: boolean) => T,
): T {
  const isFixed = grid.rows > 1 || grid.inputTokens > 0;
  if (implementation === 'stock' || isFixed) return build(false);
  try {
    return build(true);
  } catch {
    // A part that needs a fixed size throws VaryingSizeError or a size mismatch; any other error is thrown again by the next call.
    return build(false);
  }
}

function trainProgram(spec: TrainProgramSpec, varies: boolean, eager: boolean): TrainProgram {
  const builder = new ProgramBuilder();
  const model = declarePeftModel(
    ...([builder, spec.architecture, spec.peft, spec.storage, spec.form, spec.implementation] as const),
  );
  const functions = defineTraining(builder, model, spec, varies, '');
  const program = eager ? builder.buildEager() : builder.build({ compiled: compilesOperations() });
  const evaluate = evaluationOnDemand(builder, program, model, spec, varies, '');
  return { program, model, objective: spec.objective, ...functions, evaluate, varies, builder };
}

/**
 * Adds another adapter with its own functions to the base weights of a program; `number` counts the adapters on these weights, and the
 * program's own is the first. `baseForm` and storage are those of the program. If this throws, nothing more can be added to the program.
 */
export function addTrainProgram(spec: TrainProgramSpec, to: TrainProgram, number: number): TrainProgram {
  const { builder, program, model: first } = to;
  const suffix = `#${number}`;
  const { architecture, peft, form, objective } = spec;
  const attached = attachAdapter(builder, architecture, first.frozen, peft, {
    form,
    name: `adapter${suffix}`,
  });
  const model = { ...attached, stacks: first.stacks };
  const functions = defineTraining(builder, model, spec, to.varies, suffix);
  builder.extend(program);
  const evaluate = evaluationOnDemand(builder, program, model, spec, to.varies, suffix);
  return { ...to, program: withSuffix(program, suffix), model, objective, ...functions, evaluate };
}

/** Declares the trained variables and the functions that train them. `suffix`: appended to their names. */
function defineTraining(
  builder: ProgramBuilder,
  model: PeftModel,
  spec: TrainProgramSpec,
  varies: boolean,
  suffix: string,
): Pick<TrainProgram, 'update' | 'fold'> {
  const { training, grid, objective, wholeBatch = null, classes, options = {} } = spec;
  const adapter = model.adapter!;
  const flat = { shape: [model.layout.size] };
  const expAvg = builder.variable({ name: `exp_avg${suffix}`, ...flat });
  const expAvgSq = builder.variable({ name: `exp_avg_sq${suffix}`, ...flat });
  const averages = training.ema_decay !== undefined;
  const average = averages ? builder.variable({ name: AVERAGE + suffix, ...flat }) : null;
  const define: ProgramBuilder['function'] = (name, inputs, body) =>
    builder.function(name + suffix, inputs, (given) => computing(spec, () => body(given)));

  const scalar = { shape: [], dtype: 'float32' } as const;
  const stepInputs: StepInputs = {
    learning_rate: scalar,
    step_size: scalar,
    root_correction: scalar,
    ...(averages ? { average_keeps: scalar } : {}),
  };
  const passInputs: PassInputs = {
    ...batchInputs(objective, grid, varies, { classes, activates: model.attachment?.activates }),
    seed: { shape: [2], dtype: 'int32' },
    ...(training.neftune_noise_alpha ? noiseInputs(grid, varies) : {}),
  };
  const { gradient_checkpointing: checkpointing, label_smoothing_factor: factor = 0 } = training;
  const kept = { checkpointing, balanceShare: 1 / training.gradient_accumulation_steps };
  const smoothing = factor > 0 ? { factor, classWeights: spec.classWeights ?? null } : null;
  const pass = (inputs: InputTensors<PassInputs>) =>
    lossAndGradients({ model, grid, inputs, smoothing, options }, inputs, kept, (context) =>
      lossOf(objective, context),
    );

  function applyGradients(gradients: tf.Tensor, step: InputTensors<StepInputs>): tf.Tensor {
    const { clipped, norm } = clipGradients(gradients, training.max_grad_norm);
    const scalars = {
      learningRate: step.learning_rate,
      stepSize: step.step_size,
      rootCorrection: step.root_correction,
    };
    // Otherwise values computed from these alone would stay in memory through the whole step.
    const late = { after: [gradients] };
    const before = {
      parameters: adapter.read(late),
      expAvg: expAvg.read(late),
      expAvgSq: expAvgSq.read(late),
    };
    const after = adamW(before, clipped, scalars, training, model.layout);
    adapter.assign(after.parameters);
    expAvg.assign(after.expAvg);
    expAvgSq.assign(after.expAvgSq);
    if (average && 'average_keeps' in step)
      average.assign(averaged(average.read(late), after.parameters, step.average_keeps));
    return norm;
  }

  function defineUpdate(): Update {
    if (training.gradient_accumulation_steps === 1 && wholeBatch === null) {
      const step = define('step', { ...passInputs, ...stepInputs }, (inputs) => {
        const { loss, correct, sums, gradients } = pass(inputs);
        return { loss, correct, ...sumOutputs(sums), norm: applyGradients(gradients, inputs) };
      });
      return { step };
    }
    const sum = builder.variable({ name: `gradient_sum${suffix}`, ...flat });
    if (wholeBatch !== null) return { cached: defineMiniBatches(sum, wholeBatch), apply: defineApply(sum) };
    const accumulate = define('accumulate', passInputs, (inputs) => {
      const { loss, correct, sums, gradients } = pass(inputs);
      sum.assign(tf.add(sum.read(), gradients));
      return { loss, correct, ...sumOutputs(sums) };
    });
    return { accumulate, apply: defineApply(sum) };
  }

  function defineApply(sum: Variable) {
    return define('apply', stepInputs, (inputs) => {
      const norm = applyGradients(sum.read(), inputs);
      sum.assign(tf.zeros([model.layout.size]));
      return { norm };
    });
  }

  function defineMiniBatches(sum: Variable, labels: number): MiniBatchPass {
    const add = (gradients: tf.Tensor) => sum.assign(tf.add(sum.read(), gradients));
    const { defineMiniBatches: of } = losses[objective];
    if (!of) throw new Error(`${objective} has no mini-batches`);
    return of({ define, model, grid, inputs: passInputs, checkpointing, labels, add });
  }

  const update = defineUpdate();
  const folded = model.fold;
  const fold = folded && define('fold', {}, () => Object.fromEntries(folded(adapterTensors(model))));
  return { update, fold };
}

/**
 * Declares the evaluation on first use. Everything traced before the first step is in one graph, which TensorFlow processes at every
 * write, so training starts sooner without the evaluation.
 */
function evaluationOnDemand(
  builder: ProgramBuilder,
  program: Program,
  model: PeftModel,
  spec: TrainProgramSpec,
  varies: boolean,
  suffix: string,
): TrainProgram['evaluate'] {
  const { evaluationGrid: grid } = spec;
  const declare = grid && (() => declareEvaluate(builder, model, { ...spec, grid }, varies, suffix));
  return declare && builder.onDemand(program, declare);
}

const declareEvaluate = (
  builder: ProgramBuilder,
  model: PeftModel,
  spec: Pick<
    TrainProgramSpec,
    'objective' | 'classes' | 'options' | 'precision' | 'implementation' | 'grid' | 'retrieves'
  >,
  varies: boolean,
  suffix: string,
): Evaluate => {
  const { objective, grid, classes, options = {} } = spec;
  const { activates } = model.attachment ?? {};
  const inputs = batchInputs(objective, grid, varies, { classes, activates });
  const define: ProgramBuilder['function'] = (name, inputs, body) =>
    builder.function(name + suffix, inputs, (given) => computing(spec, () => body(given)));
  const { defineMeasure } = losses[objective];
  if (defineMeasure && spec.retrieves) return defineMeasure({ define, inputs, model, grid });
  return {
    measure: define('evaluate', inputs, (inputs) => {
      const { sums = {}, predictions, ...rest } = evaluated(objective, { model, grid, inputs, options });
      return { ...rest, predictions, ...sumOutputs(sums) };
    }),
  };
};

/** A program with only `evaluate`, for a finished adapter (or the plain base model), in the precision of its training. */
export function buildEvaluationProgram(
  spec: Pick<
    TrainProgramSpec,
    | 'architecture'
    | 'objective'
    | 'classes'
    | 'options'
    | 'storage'
    | 'precision'
    | 'implementation'
    | 'grid'
    | 'retrieves'
  > & {
    peft: PeftConfig | null;
    form: AttachmentForm;
  },
): EvaluationProgram {
  return untilUnused(spec, (varies) => {
    const builder = new ProgramBuilder();
    const model = declarePeftModel(
      ...([builder, spec.architecture, spec.peft, spec.storage, spec.form, spec.implementation] as const),
    );
    const evaluate = declareEvaluate(builder, model, spec, varies, '');
    const { objective } = spec;
    return { program: builder.build(), model, objective, evaluate: () => evaluate, varies };
  });
}

/** `Loss.sums` as outputs of a function. */
const sumOutputs = <T>(sums: Readonly<Record<string, T>>): SumOutputs<T> =>
  Object.fromEntries(Object.entries(sums).map(([name, sum]) => [`sum_${name}`, sum]));

/** Adds the sums in the outputs of such a function to `to`. */
export function addSums(outputs: SumOutputs<RunOutput>, to: Record<string, number>): void {
  for (const [output, value] of Object.entries(outputs)) {
    if (!output.startsWith('sum_')) continue;
    const name = output.slice('sum_'.length);
    to[name] = (to[name] ?? 0) + scalarOf(value);
  }
}

const computing = <T>(
  { precision, implementation }: Pick<TrainProgramSpec, 'precision' | 'implementation'>,
  body: () => T,
): T => withComputation({ precision, implementation }, body);
