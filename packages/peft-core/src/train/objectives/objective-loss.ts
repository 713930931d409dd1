import type {
  InputSpec,
  Program,
  ProgramBuilder,
  ProgramFunction,
  RunOutput,
  TypedArray,
  tf,
} from '@graft/tf-graph';
import type {
  FilledBatch,
  GridShape,
  MeasuredPlan,
  SequenceLayout,
  TrainingExample,
} from '../../examples/index.ts';
import type { ModelRuntime } from '../../models/architecture.ts';
import type { ExpertBalance } from '../../nn/experts/expert-balance.ts';
import type { Outcome } from '../../objectives/objective.ts';
import type { TrainingPass } from '../../peft-model/packed-forward.ts';
import type { ParameterTensors, PeftModel } from '../../peft-model/peft-model.ts';
import type { NoiseOf } from './embedding-noise.ts';

/**
 * A batch on a grid by the names of a function's inputs: their shapes, tensors or arrays. The objective adds its own inputs
 * (`ObjectiveLoss.inputs`). `label_positions`: if the objective has it, only hidden states at these positions are read. `active`: see
 * `FilledBatch`, of adapters that are active only at some positions.
 */
export type BatchOf<T> = TokensOf<T> &
  (EncoderTokensOf<T> | NoTokens) & { label_scales: T } & ({ label_positions: T } | NoTokens) &
  ({ active: T } | NoTokens);

/** `parents` and `grandparents`: see `PackedPositions`; `spans` `(S, 4)`: see `segmentAttention`. */
type TokensOf<T> = { ids: T; positions: T; segments: T; parents: T; grandparents: T; spans: T };
/** Input of an encoder-decoder's encoder. */
type EncoderTokensOf<T> = { input_ids: T; input_positions: T; input_segments: T; input_spans: T };
type NoTokens = Record<never, never>;

/** Inputs of a training pass: a batch, the seed of its dropout and noise, and the noise scales. */
export type PassInputs = BatchOf<InputSpec> & { seed: InputSpec } & (NoiseOf<InputSpec> | NoTokens);

/**
 * `factor` of each target's probability is distributed over all classes, in proportion to `classWeights`, which are also part of the
 * target's scale. null: evenly.
 */
export interface Smoothing {
  factor: number;
  classWeights: readonly number[] | null;
}

export type LossOptions = Readonly<Record<string, unknown>>;

/** Inputs of a forward pass for a loss. */
export interface LossContext {
  /** Default or null: no label smoothing. */
  smoothing?: Smoothing | null;
  /** The options of `training` that the loss reads: `ObjectiveLoss.options`. */
  options: LossOptions;
  model: PeftModel;
  grid: GridShape;
  inputs: BatchOf<tf.Tensor>;
  parameters: ParameterTensors;
  training: TrainingPass | null;
}

/** Hidden states before the final norm, of labels `(labels, H)` or all positions `(N, H)`, and the runtime for the layers after them. */
export interface Forward extends Omit<LossContext, 'inputs'> {
  runtime: ModelRuntime;
  hidden: tf.Tensor;
  balance: ExpertBalance | null;
}

export interface Loss {
  /** Σ scale · loss of each target, or of each example to embed. */
  total: tf.Tensor;
  /** Number of correct targets or examples. */
  correct: tf.Tensor;
  /**
   * For metrics, in the order of labels: predicted classes, cosines, or `(labels, classes)` with 1 for each class of a text that may have
   * several.
   */
  predictions?: tf.Tensor;
  /** Additional scalars for metrics, each a sum over targets: `Outcome.means` has their means. */
  sums?: Record<string, tf.Tensor>;
}

/** The computation of an objective: the part of `objectives/<name>/objective.ts` that needs TensorFlow. */
export interface ObjectiveLoss<Name extends string = string> {
  /** Options of `training` that the loss reads when it is traced, which makes them part of the graph. */
  options?: readonly string[];
  /** The objective's own inputs of a function, including `label_scales`. `perToken`: spec of an input per position, `(N)`. */
  inputs(grid: GridShape, perToken: InputSpec, classes: number): Record<Name | 'label_scales', InputSpec>;
  /** Feeds of these inputs except `label_scales`. `length`: number of positions that are fed; `weight`: what the total is divided by. */
  feeds(
    batch: FilledBatch,
    length: number,
    weight: number,
  ): Record<Exclude<Name, 'label_scales'>, TypedArray>;
  loss(forward: Forward, inputs: Record<Name | 'label_scales', tf.Tensor>): Loss;
  /** With a `reference` pass: log-probabilities of a batch's sequences, first ones before second ones. */
  logps?(forward: Forward, inputs: Record<Name | 'label_scales', tf.Tensor>): tf.Tensor;
  /** The values that `predictions` are compared with, in the same order. */
  wanted(batch: FilledBatch): ArrayLike<number>;
  /** Defines functions for a batch larger than the grid; present with `keepsBatch`. */
  defineMiniBatches?(of: MiniBatchDefinition): MiniBatchPass;
  /** Measures all examples together instead of batch by batch. */
  defineMeasure?(of: MeasureDefinition): WholeMeasure;
}

export interface MiniBatchDefinition {
  define: ProgramBuilder['function'];
  model: PeftModel;
  grid: GridShape;
  inputs: PassInputs;
  checkpointing: boolean;
  /** Number of labels in the whole batch. */
  labels: number;
  /** Adds gradients to those of the step. */
  add(gradients: tf.Tensor): void;
}

/** A mini-batch, its seed, and the index of its first example in the whole batch. */
export interface MiniBatch {
  filled: FilledBatch;
  seed: Int32Array;
  first: number;
}

export interface MiniBatchPass {
  /** The function that takes the most memory and longest to prepare. */
  main: ProgramFunction;
  /** Runs one micro-batch and accumulates the gradients of its loss. `feedsOf`: feeds of a mini-batch except its seed. */
  run(
    program: Program,
    minis: readonly MiniBatch[],
    feedsOf: (batch: FilledBatch) => BatchOf<TypedArray> & (NoiseOf<Float32Array> | NoTokens),
  ): { loss: RunOutput; correct: RunOutput };
}

export interface MeasureDefinition {
  define: ProgramBuilder['function'];
  inputs: BatchOf<InputSpec>;
  model: PeftModel;
  grid: GridShape;
}

export interface WholeMeasure {
  measureAll(
    program: Program,
    data: { plan: MeasuredPlan; examples: readonly TrainingExample[]; layout: SequenceLayout },
    feedsOf: (batch: FilledBatch) => BatchOf<TypedArray>,
  ): Outcome;
}
