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
  BatchPlan,
  FilledBatch,
  GridShape,
  SequenceLayout,
  TrainingExample,
} from '../../examples/index.ts';
import type { ModelRuntime } from '../../models/architecture.ts';
import type { Outcome } from '../../objectives/objective.ts';
import type { TrainingPass } from '../../peft-model/packed-forward.ts';
import type { ParameterTensors, PeftModel } from '../../peft-model/peft-model.ts';
import type { NoiseOf } from './embedding-noise.ts';

/**
 * A batch on a grid by the names of a function's inputs: their shapes, their tensors or their arrays. Besides these there are those of the
 * objective (`ObjectiveLoss.inputs`). `label_positions`: only hidden states there are read, if the objective has it.
 */
export type BatchOf<T> = TokensOf<T> &
  (EncoderTokensOf<T> | NoTokens) & { label_scales: T } & ({ label_positions: T } | NoTokens);

/** `parents`: see `PackedPositions`; `spans` `(S, 4)`: see `segmentAttention`. */
type TokensOf<T> = { ids: T; positions: T; segments: T; parents: T; spans: T };
/** What an encoder-decoder's encoder reads. */
type EncoderTokensOf<T> = { input_ids: T; input_positions: T; input_segments: T; input_spans: T };
type NoTokens = Record<never, never>;

/** Inputs of a pass of training: a batch, the seed of its dropout and noise, and how far the noise goes. */
export type PassInputs = BatchOf<InputSpec> & { seed: InputSpec } & (NoiseOf<InputSpec> | NoTokens);

/**
 * `factor` of each target is shared out among all classes; a class counts `classWeights` times in that, as it does in its scale. null:
 * all count the same.
 */
export interface Smoothing {
  factor: number;
  classWeights: readonly number[] | null;
}

export type LossOptions = Readonly<Record<string, unknown>>;

/** What a forward pass for a loss is made from. */
export interface LossContext {
  /** Absent: targets are sure. */
  smoothing?: Smoothing | null;
  /** Of `training` what the loss reads: `ObjectiveLoss.options`. */
  options: LossOptions;
  model: PeftModel;
  grid: GridShape;
  inputs: BatchOf<tf.Tensor>;
  parameters: ParameterTensors;
  training: TrainingPass | null;
}

/** The hidden states that a loss starts from, before the final norm: of labels `(labels, H)`, or all `(N, H)`. And the runtime for what follows. */
export interface Forward extends Omit<LossContext, 'inputs'> {
  runtime: ModelRuntime;
  hidden: tf.Tensor;
}

export interface Loss {
  /** Σ scale · loss of each target, or of each example to embed. */
  total: tf.Tensor;
  /** How many of them were right. */
  correct: tf.Tensor;
  /** Predicted classes, cosines, or of texts that may have several 1 for each class `(labels, classes)`, in the order of labels; for metrics. */
  predictions?: tf.Tensor;
  /** Scalars that metrics need besides, each a sum over targets: `Outcome.means` has their means. */
  sums?: Record<string, tf.Tensor>;
}

/** What a program computes for an objective: the side of `objectives/<name>/objective.ts` that needs TensorFlow. */
export interface ObjectiveLoss<Name extends string = string> {
  /** Options of `training` that it reads as it is traced, so that they are part of the graph. */
  options?: readonly string[];
  /** Its own inputs of a function, `label_scales` among them. `perToken`: of the positions, `(N)`. */
  inputs(grid: GridShape, perToken: InputSpec, classes: number): Record<Name | 'label_scales', InputSpec>;
  /** Feeds of these inputs but `label_scales`. `length`: positions that are fed. */
  feeds(batch: FilledBatch, length: number): Record<Exclude<Name, 'label_scales'>, TypedArray>;
  loss(forward: Forward, inputs: Record<Name | 'label_scales', tf.Tensor>): Loss;
  /** What `predictions` are compared with, in the same order. */
  wanted(batch: FilledBatch): ArrayLike<number>;
  /** Functions for a batch that is larger than the grid; with `keepsBatch`. */
  defineMiniBatches?(of: MiniBatchDefinition): MiniBatchPass;
  /** Measures in a way of its own, of all examples together instead of batch by batch. */
  defineMeasure?(of: MeasureDefinition): WholeMeasure;
}

export interface MiniBatchDefinition {
  define: ProgramBuilder['function'];
  model: PeftModel;
  grid: GridShape;
  inputs: PassInputs;
  checkpointing: boolean;
  /** Labels of the whole batch. */
  labels: number;
  /** Adds gradients to those of the step. */
  add(gradients: tf.Tensor): void;
}

/** A mini-batch, its seed, and its first example's number in the whole batch. */
export interface MiniBatch {
  filled: FilledBatch;
  seed: Int32Array;
  first: number;
}

export interface MiniBatchPass {
  /** The function that takes the most memory and longest to prepare. */
  main: ProgramFunction;
  /** One micro-batch, of whose loss the gradients are added up; losses are divided by `count`. */
  run(
    program: Program,
    minis: readonly MiniBatch[],
    how: MiniBatchFeeds,
  ): { loss: RunOutput; correct: RunOutput };
}

export interface MiniBatchFeeds {
  count: number;
  /** Feeds of a mini-batch but its seed. */
  feedsOf(batch: FilledBatch): BatchOf<TypedArray> & (NoiseOf<Float32Array> | NoTokens);
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
    data: { plan: BatchPlan; examples: readonly TrainingExample[]; layout: SequenceLayout },
    feedsOf: (batch: FilledBatch) => BatchOf<TypedArray>,
  ): Outcome;
}
