import type { ResolvedTraining } from '../config/index.ts';
import type { GridShape } from '../examples/batches/choose-grid.ts';
import type { ExampleSize } from '../examples/batches/example-size.ts';
import {
  type BatchLayout,
  miniBatches,
  planBatches,
  planEvaluation,
} from '../examples/batches/plan-batches.ts';
import { measuringBatchSize, miniBatchSize } from '../examples/batches/plan-training.ts';
import type { DataSample } from './estimate.ts';

/** The batches of a job, extrapolated from its sample. */
export interface PlannedBatches {
  shape: GridShape;
  steps: number;
  /** Forward and backward passes over all steps. */
  passes: number;
  passesPerEpoch: number;
  /** True if each pass has an additional forward pass before it, because a batch is embedded in mini-batches. */
  isCached: boolean;
  /** Tokens of all steps. */
  tokens: number;
  /** Mean number of positions in a pass, and mean number of positions that each attends to. */
  positions: number;
  attended: Attended;
  /** Maximum number of positions whose key gradients attention with kernels stores at a time. */
  gradientPositions: number;
  /** Evaluations at every `eval_steps` and after training; null without validation data. */
  evaluation: {
    shape: GridShape;
    positions: number;
    attended: Attended;
    batches: number;
    times: number;
  } | null;
}

/** Number of positions that one attends to in its own sequence, and in the input of an encoder-decoder's encoder. */
export interface Attended {
  own: number;
  input: number;
}

/** Maximum number of examples in the plan: more epochs would hardly change the result. */
const maxPlannedExamples = 20_000;

/** The plan of the training if the sample contains all examples; else a similar one. */
export function plannedBatches(
  { training, validation }: DataSample,
  options: ResolvedTraining,
  arrangement: BatchLayout,
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
  const epochs = Math.max(1, Math.min(options.n_epochs, Math.floor(maxPlannedExamples / sizes.length)));
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
  const passesPerEpoch = passesOf(examples, batchSize, mini ?? batchSize);
  const passes = Math.min(steps * accumulation * minis, Math.ceil((steps / stepsPerEpoch) * passesPerEpoch));
  return {
    shape: plan.shape,
    positions: (plan.stats.computedPositions * steps) / (plan.steps * passes),
    attended: seen(sizes, plan.shape),
    gradientPositions: plan.stats.gradientPositions,
    steps,
    passes,
    passesPerEpoch,
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

function passesOf(examples: number, batchSize: number, mini: number): number {
  const rest = examples % batchSize;
  return Math.floor(examples / batchSize) * miniBatches(batchSize, mini) + miniBatches(rest, mini);
}

/** Repeats a sample that is smaller than a step, so that a step has its full size. */
function atLeast(count: number, sizes: readonly ExampleSize[]): readonly ExampleSize[] {
  return sizes.length >= count ? sizes : Array.from({ length: count }, (_, i) => sizes[i % sizes.length]!);
}

function meanTokens(sizes: readonly ExampleSize[]): number {
  return sizes.reduce((sum, { tokens }) => sum + tokens, 0) / sizes.length;
}

/** Mean number of positions that a position attends to, if each sequence has its own list. */
function meanAttended(widths: readonly number[]): number {
  const total = widths.reduce((sum, width) => sum + width, 0);
  return widths.reduce((sum, width) => sum + width ** 2, 0) / Math.max(1, total);
}
