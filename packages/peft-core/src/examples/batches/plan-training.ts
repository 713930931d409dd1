import type { ResolvedTraining } from '../../config/index.ts';
import type { TrainingExample } from '../training-example.ts';
import { costOf, LABEL_MULTIPLE, roundUp } from './choose-grid.ts';
import type { SequenceLayout } from './fill-batch.ts';
import {
  type Arrangement,
  type BatchPlan,
  miniBatches,
  planBatches,
  planEvaluation,
  sizeOf,
} from './plan-batches.ts';

type Arranged = Pick<SequenceLayout, 'virtualTokens'> &
  Partial<Pick<SequenceLayout, 'vocabularySize' | 'arrangement'>>;

function arranged(
  examples: TrainingExample[],
  { virtualTokens, vocabularySize = 0, arrangement = 'grid' }: Arranged,
) {
  const firstVirtual = arrangement === 'shared' ? vocabularySize : null;
  return { examples: examples.map((example) => sizeOf(example, virtualTokens, firstVirtual)), arrangement };
}

type BatchSizes = Pick<ResolvedTraining, 'batch_size'> & Partial<Pick<ResolvedTraining, 'mini_batch_size'>>;

/** Examples of a batch that are embedded at a time, where they are not all: `mini_batch_size`, which jobs of versions before lack. */
export function miniBatchSize({ batch_size: batch, mini_batch_size: mini }: BatchSizes): number | undefined {
  return mini && mini < batch ? mini : undefined;
}

/** Room for the labels of so many examples to embed. */
export const roundToLabels = (examples: number): number => roundUp(examples, LABEL_MULTIPLE);

/** How many mini-batches the batch of a pass is embedded in; 1: it is computed as a whole. */
export const miniBatchCount = (training: BatchSizes): number =>
  miniBatches(training.batch_size, miniBatchSize(training) ?? training.batch_size);

/** Which examples every step trains on, and where they lie. */
export function planTraining(
  examples: TrainingExample[],
  training: ResolvedTraining,
  layout: Arranged,
): BatchPlan {
  return planBatches({
    ...arranged(examples, layout),
    batchSize: training.batch_size,
    miniBatchSize: miniBatchSize(training),
    accumulation: training.gradient_accumulation_steps,
    epochs: training.n_epochs,
    seed: training.seed,
    packing: training.packing,
    maxSteps: training.max_steps,
  });
}

/**
 * What stock operations compute least with. They hold every position of a list against every other, so one that shares beginnings is
 * for them only where that makes it short.
 */
export function cheapestOnStock(
  examples: TrainingExample[],
  training: ResolvedTraining,
  layout: Omit<Arranged, 'arrangement'>,
): Arrangement {
  const costs = (['grid', 'shared'] as const).map((arrangement) =>
    costOf(planTraining(examples, training, { ...layout, arrangement }).shape),
  );
  return costs[1]! < costs[0]! ? 'shared' : 'grid';
}

/** Examples of a batch that the model is measured on: at least eight. */
export const measuringBatchSize = (training: BatchSizes): number =>
  Math.max(miniBatchSize(training) ?? training.batch_size, 8);

/** Every example once, in order. */
export function planMeasuring(
  examples: TrainingExample[],
  training: ResolvedTraining,
  layout: Arranged,
): BatchPlan {
  return planEvaluation({
    ...arranged(examples, layout),
    batchSize: measuringBatchSize(training),
    packing: training.packing,
  });
}
