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
import { batchInputs, losses, lossOf } from './objectives/losses.ts';
import type {
  BatchOf,
  LossOptions,
  MiniBatchPass,
  PassInputs,
  WholeMeasure,
} from './objectives/objective-loss.ts';
import { lossAndGradients } from './objectives/passes.ts';
import { applyGradients, type StepInputs } from './update/optimizer.ts';

/** Options of `training` that a graph contains. */
export const GRAPH_OPTIONS = [
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

type SumOutputs<T> = { [sum in `sum_${string}`]: T };
type PassOutputs = { loss: tf.Tensor; correct: tf.Tensor } & SumOutputs<tf.Tensor>;
type StepOutputs = { norm: tf.Tensor };

/**
 * The functions of an optimizer step: one; with gradient accumulation one for each micro-batch and one at the end; with mini-batches
 * those of a `MiniBatchPass` for each micro-batch.
 */
export type Update =
  | { step: ProgramFunction<PassInputs & StepInputs, PassOutputs & StepOutputs> }
  | { accumulate: ProgramFunction<PassInputs, PassOutputs>; apply: ProgramFunction<StepInputs, StepOutputs> }
  | { cached: MiniBatchPass; apply: ProgramFunction<StepInputs, StepOutputs> };

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
  /** Names of the flat state variables, in the order of a checkpoint. */
  state: readonly string[];
  /** Computes the adapter as stored in its files; null if the trained values are stored directly. */
  fold: FoldFunction | null;
  /** Declares further variables and functions beside the program's weights. */
  builder: ProgramBuilder;
  /** Returns the function for `use` and `key`, which `declare` declares the first time, under the name that it is given. */
  later<F>(use: string, key: string, declare: (name: string) => F): F;
}

/** Name of the flat variable with the moving average of the adapter over all steps. */
export const AVERAGE = 'average';

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
  const { architecture, peft, storage, form, implementation } = spec;
  const model = declarePeftModel(builder, architecture, peft, storage, form, implementation);
  const functions = defineTraining(builder, model, spec, varies, '');
  const program = eager ? builder.buildEager() : builder.build({ compiled: compilesOperations() });
  const evaluate = evaluationOnDemand(builder, program, model, spec, varies, '');
  const later = laterFunctions(builder, program, '');
  return { program, model, objective: spec.objective, ...functions, evaluate, varies, builder, later };
}

/**
 * Adds another adapter with its own functions to the base weights of a program; `number` counts the adapters on these weights, and the
 * program's own is the first. `baseForm` and storage are those of the program. If this throws, nothing more can be added to the program.
 */
export function addTrainProgram(spec: TrainProgramSpec, to: TrainProgram, number: number): TrainProgram {
  const { builder, program: whole, model: first } = to;
  const suffix = `#${number}`;
  const { architecture, peft, form, objective } = spec;
  const attached = attachAdapter(builder, architecture, first.frozen, peft, {
    form,
    name: `adapter${suffix}`,
  });
  const model = { ...attached, stacks: first.stacks };
  const functions = defineTraining(builder, model, spec, to.varies, suffix);
  builder.extend(whole);
  const evaluate = evaluationOnDemand(builder, whole, model, spec, to.varies, suffix);
  const program = withSuffix(whole, suffix);
  const later = laterFunctions(builder, program, suffix);
  return { ...to, program, model, objective, ...functions, evaluate, later };
}

/** The same program, in which an adapter that shares it finds its own variables under the unsuffixed names. */
function withSuffix(program: Program, suffix: string): Program {
  const own = (name: string) => name + suffix;
  return {
    add: (variables, functions) => program.add(variables, functions),
    write: async (values) => {
      for await (const [name, data] of values) await program.write([[own(name), data]]);
    },
    fill: async (fillings) => {
      for await (const filling of fillings)
        await program.fill([{ ...filling, names: filling.names.map(own) }]);
    },
    read: (names) => {
      const values = program.read(names.map(own));
      return new Map(names.map((name) => [name, values.get(own(name))!]));
    },
    prepare: (fn) => program.prepare(fn),
    run: (fn, feeds) => program.run(fn, feeds),
    close: () => program.close(),
  };
}

/** Functions that a program gets after it was built. Jobs and trials that share the program share them. */
function laterFunctions(builder: ProgramBuilder, program: Program, suffix: string): TrainProgram['later'] {
  const functions = new Map<string, unknown>();
  return <F>(use: string, key: string, declare: (name: string) => F): F => {
    const name = `${use} ${key}`;
    if (!functions.has(name)) {
      functions.set(name, declare(`${use}_${functions.size + 1}${suffix}`));
      builder.extend(program);
    }
    return functions.get(name) as F;
  };
}

/** Declares the trained variables and the functions that train them. `suffix`: appended to their names. */
function defineTraining(
  builder: ProgramBuilder,
  model: PeftModel,
  spec: TrainProgramSpec,
  varies: boolean,
  suffix: string,
): Pick<TrainProgram, 'update' | 'state' | 'fold'> {
  const { training, grid, objective, wholeBatch = null, classes, options = {} } = spec;
  const flat = { shape: [model.layout.size] };
  const expAvg = builder.variable({ name: `exp_avg${suffix}`, ...flat });
  const expAvgSq = builder.variable({ name: `exp_avg_sq${suffix}`, ...flat });
  const averages = training.ema_decay !== undefined;
  const average = averages ? builder.variable({ name: AVERAGE + suffix, ...flat }) : null;
  const define = definer(builder, spec, suffix);

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

  const state = { parameters: model.adapter!, expAvg, expAvgSq, average };
  const apply = (gradients: tf.Tensor, step: InputTensors<StepInputs>) =>
    applyGradients(state, gradients, step, training, model.layout);

  function defineUpdate(): Update {
    if (training.gradient_accumulation_steps === 1 && wholeBatch === null) {
      const step = define('step', { ...passInputs, ...stepInputs }, (inputs) => {
        const { loss, correct, sums, gradients } = pass(inputs);
        return { loss, correct, ...sumOutputs(sums), norm: apply(gradients, inputs) };
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
      const norm = apply(sum.read(), inputs);
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
  const names = ['adapter', 'exp_avg', 'exp_avg_sq', ...(averages ? [AVERAGE] : [])];
  return { update, state: names, fold };
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
  const define = definer(builder, spec, suffix);
  const { defineMeasure } = losses[objective];
  if (defineMeasure && spec.retrieves) return defineMeasure({ define, inputs, model, grid });
  return {
    measure: define('evaluate', inputs, (inputs) => {
      const parameters = adapterTensors(model);
      const context = { model, grid, inputs, options, parameters, training: null };
      const { total: loss, sums = {}, predictions, ...rest } = lossOf(objective, context);
      return { loss, ...rest, predictions, ...sumOutputs(sums) };
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
  > & { peft: PeftConfig | null; form: AttachmentForm },
): EvaluationProgram {
  return untilUnused(spec, (varies) => {
    const builder = new ProgramBuilder();
    const { architecture, peft, storage, form, implementation, objective } = spec;
    const model = declarePeftModel(builder, architecture, peft, storage, form, implementation);
    const evaluate = declareEvaluate(builder, model, spec, varies, '');
    return { program: builder.build(), model, objective, evaluate: () => evaluate, varies };
  });
}

/** `Loss.sums` as outputs of a function. */
const sumOutputs = <T>(sums: Readonly<Record<string, T>>): SumOutputs<T> =>
  Object.fromEntries(Object.entries(sums).map(([name, sum]) => [`sum_${name}`, sum]));

/** Sums of the outputs of such functions over batches. */
export class BatchTotals {
  loss = 0;
  correct = 0;
  readonly #sums: Record<string, number> = {};

  add({ loss, correct, ...others }: { loss: RunOutput; correct: RunOutput }): void {
    this.loss += scalarOf(loss);
    this.correct += scalarOf(correct);
    for (const [output, value] of Object.entries(others as SumOutputs<RunOutput>)) {
      if (!output.startsWith('sum_')) continue;
      const name = output.slice('sum_'.length);
      this.#sums[name] = (this.#sums[name] ?? 0) + scalarOf(value);
    }
  }

  /** `Loss.sums` divided by `count`. */
  means(count: number): Record<string, number> {
    return Object.fromEntries(Object.entries(this.#sums).map(([name, sum]) => [name, sum / count]));
  }
}

/** Defines functions that compute as `spec` says. `suffix`: appended to their names. */
const definer =
  (
    builder: ProgramBuilder,
    { precision, implementation }: Pick<TrainProgramSpec, 'precision' | 'implementation'>,
    suffix: string,
  ): ProgramBuilder['function'] =>
  (name, inputs, body) =>
    builder.function(name + suffix, inputs, (given) =>
      withComputation({ precision, implementation }, () => body(given)),
    );
