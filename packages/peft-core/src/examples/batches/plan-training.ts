import type { ResolvedTraining } from '../../config/index.ts';
import { permutation, Random } from '../../random.ts';
import type { TrainingExample } from '../training-example.ts';
import { costOf, LABEL_MULTIPLE, roundUp } from './choose-grid.ts';
import { sizeOf } from './example-size.ts';
import type { SequenceLayout } from './fill-batch.ts';
import type { MixedFiles } from './mixed-order.ts';
import {
  type BatchLayout,
  type BatchPlan,
  miniBatches,
  planBatches,
  planEvaluation,
} from './plan-batches.ts';

type Arranged = Pick<SequenceLayout, 'virtualTokens'> &
  Partial<
    Pick<SequenceLayout, 'vocabularySize' | 'arrangement' | 'learnsPrompts' | 'keepsBatches' | 'invocation'>
  >;

function arranged(
  examples: TrainingExample[],
  {
    virtualTokens,
    vocabularySize = 0,
    arrangement = 'grid',
    learnsPrompts = false,
    invocation = null,
  }: Arranged,
) {
  const firstVirtual = arrangement === 'shared' ? vocabularySize : null;
  const options = { virtualTokens, firstVirtual, learnsPrompts, invocation };
  return { examples: examples.map((example) => sizeOf(example, options)), arrangement };
}

type BatchSizes = Pick<ResolvedTraining, 'batch_size'> & Partial<Pick<ResolvedTraining, 'mini_batch_size'>>;

/** Number of examples that are embedded at a time, if not the whole batch: `mini_batch_size`, which jobs of earlier versions lack. */
export function miniBatchSize({ batch_size: batch, mini_batch_size: mini }: BatchSizes): number | undefined {
  return mini && mini < batch ? mini : undefined;
}

/** Capacity for labels of a batch with `examples` examples to embed. */
export const roundToLabels = (examples: number): number => roundUp(examples, LABEL_MULTIPLE);

/** Number of mini-batches in which the batch of a pass is embedded; 1: the batch is computed as a whole. */
export const miniBatchCount = (training: BatchSizes): number =>
  miniBatches(training.batch_size, miniBatchSize(training) ?? training.batch_size);

export function planTraining(
  examples: TrainingExample[],
  training: ResolvedTraining,
  layout: Arranged,
  mixed: MixedFiles | null = null,
): BatchPlan {
  return planBatches({
    ...arranged(examples, layout),
    mixed,
    keepsBatches: layout.keepsBatches,
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
 * The arrangement that stock operations compute fastest. On a list they compare every position with all others, so a list with shared
 * prefixes is better only if it is much shorter than the grid.
 */
export function cheapestOnStock(
  examples: TrainingExample[],
  training: ResolvedTraining,
  layout: Omit<Arranged, 'arrangement'>,
  mixed: MixedFiles | null = null,
): BatchLayout {
  const costs = (['grid', 'shared'] as const).map((arrangement) =>
    costOf(planTraining(examples, training, { ...layout, arrangement }, mixed).shape),
  );
  return costs[1]! < costs[0]! ? 'shared' : 'grid';
}

/** Number of examples in a batch of an evaluation: at least eight. */
export const measuringBatchSize = (training: BatchSizes): number =>
  Math.max(miniBatchSize(training) ?? training.batch_size, 8);

/** Evaluates every example once, in order; `sets`: the numbers of examples that are measured separately. */
export function planMeasuring(
  examples: TrainingExample[],
  training: ResolvedTraining,
  layout: Arranged,
  sets: readonly number[] | null = null,
): BatchPlan {
  return planEvaluation({
    ...arranged(examples, layout),
    sets,
    batchSize: measuringBatchSize(training),
    packing: training.packing,
  });
}

/**
 * Every example once, in an order drawn from the seed, so that the first batches stand for all; `examples` are in that order. Sequences share
 * nothing, so each of their positions is there as often as it is trained on in an epoch.
 */
export function planInputs(
  given: readonly TrainingExample[],
  training: ResolvedTraining,
  layout: Omit<Arranged, 'arrangement'> & { arrangement: 'flat' | 'grid' },
): { plan: BatchPlan; examples: TrainingExample[] } {
  const order = permutation(given.length, new Random(training.seed, 'inputs'));
  const examples = Array.from(order, (i) => given[i]!);
  return { plan: planMeasuring(examples, training, layout), examples };
}
