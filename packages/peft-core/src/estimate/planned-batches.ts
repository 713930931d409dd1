import type { ResolvedTraining } from '../config/index.ts';
import type { GridShape } from '../examples/batches/choose-grid.ts';
import {
  type Arrangement,
  type ExampleSize,
  miniBatches,
  planBatches,
  planEvaluation,
} from '../examples/batches/plan-batches.ts';
import { measuringBatchSize, miniBatchSize } from '../examples/batches/plan-training.ts';
import type { DataSample } from './estimate.ts';

/** The batches of a job, as its sample shows them. */
export interface PlannedBatches {
  shape: GridShape;
  /** Optimizer steps. */
  steps: number;
  /** Forward and backward passes over all steps. */
  passes: number;
  /** Each pass is computed forward once more before: a batch is embedded in mini-batches. */
  isCached: boolean;
  /** Of all steps. */
  tokens: number;
  /** Positions of a pass, and how many of them each sees: means. */
  positions: number;
  attended: Attended;
  /** The most positions whose keys' gradients attention by kernels holds at a time. */
  gradientPositions: number;
  /** What the model is measured on after training and at every `eval_steps`; null without validation data. */
  evaluation: {
    shape: GridShape;
    positions: number;
    attended: Attended;
    batches: number;
    times: number;
  } | null;
}

/** Positions that one sees of its own sequence, and of what an encoder-decoder's encoder reads. */
export interface Attended {
  own: number;
  input: number;
}

/** Examples that are laid out at most: more epochs show little that is new. */
const mostPlaced = 20_000;

/** The plan that training would make, if the sample is all; else one like it. */
export function plannedBatches(
  { training, validation }: DataSample,
  options: ResolvedTraining,
  arrangement: Arrangement,
): PlannedBatches {
  const { batch_size: batchSize, gradient_accumulation_steps: accumulation, packing, seed } = options;
  const { examples } = training;
  const perStep = batchSize * accumulation;
  const mini = miniBatchSize(options);
  const minis = miniBatches(batchSize, mini ?? batchSize);
  const sizes = atLeast(Math.min(examples, perStep), training.sizes);
  const seen = (sizes: readonly ExampleSize[], { tokens, inputTokens }: GridShape): Attended =>
    arrangement === 'grid'
      ? { own: tokens, input: inputTokens }
      : {
          own: meanAttended(sizes.flatMap(({ widths }) => widths)),
          input: meanAttended(sizes.map(({ inputWidth }) => inputWidth)),
        };
  const stepsPerEpoch = Math.ceil(examples / perStep);
  const steps = Math.min(stepsPerEpoch * options.n_epochs, options.max_steps ?? Number.POSITIVE_INFINITY);
  const epochs = Math.max(1, Math.min(options.n_epochs, Math.floor(mostPlaced / sizes.length)));
  const plan = planBatches({
    examples: sizes,
    batchSize,
    accumulation,
    epochs,
    seed,
    packing,
    arrangement,
    miniBatchSize: mini,
    maxSteps: steps,
  });
  const measuring = measuringBatchSize(options);
  const measured =
    validation && planEvaluation({ examples: validation.sizes, batchSize: measuring, packing, arrangement });
  const passes = Math.min(
    steps * accumulation * minis,
    Math.ceil((steps / stepsPerEpoch) * passesOf(examples, batchSize, mini ?? batchSize)),
  );
  return {
    shape: plan.shape,
    positions: (plan.stats.computedPositions * steps) / (plan.steps * passes),
    attended: seen(sizes, plan.shape),
    gradientPositions: plan.stats.gradientPositions,
    steps,
    passes,
    isCached: mini !== undefined,
    tokens:
      sizes.length === examples
        ? Math.round((plan.stats.tokens * steps) / plan.steps)
        : Math.round((meanTokens(sizes) * examples * steps) / stepsPerEpoch),
    evaluation: measured && {
      shape: measured.shape,
      positions: measured.stats.computedPositions / measured.steps,
      attended: seen(validation.sizes, measured.shape),
      batches: Math.ceil(validation.examples / measuring),
      times: 1 + Math.floor((steps - 1) / options.eval_steps),
    },
  };
}

/** Passes of a training epoch. */
function passesOf(examples: number, batchSize: number, mini: number): number {
  const rest = examples % batchSize;
  return Math.floor(examples / batchSize) * miniBatches(batchSize, mini) + miniBatches(rest, mini);
}

/** Those of a sample that is smaller than a step again, so that a step is as large as it will be. */
function atLeast(count: number, sizes: readonly ExampleSize[]): readonly ExampleSize[] {
  return sizes.length >= count ? sizes : Array.from({ length: count }, (_, i) => sizes[i % sizes.length]!);
}

function meanTokens(sizes: readonly ExampleSize[]): number {
  return sizes.reduce((sum, { tokens }) => sum + tokens, 0) / sizes.length;
}

/** Positions that one of them sees in its own sequence, where each has a list of its own. */
function meanAttended(widths: readonly number[]): number {
  const total = widths.reduce((sum, width) => sum + width, 0);
  return widths.reduce((sum, width) => sum + width ** 2, 0) / Math.max(1, total);
}
