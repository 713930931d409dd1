import type { ResolvedTraining } from '../config.ts';
import { type BatchPlan, planBatches, planEvaluation, type TokenizedExample } from '../text/index.ts';

/** Which examples every step trains on, and where they lie. */
export function planTraining(examples: TokenizedExample[], training: ResolvedTraining): BatchPlan {
  return planBatches({
    ...measure(examples),
    batchSize: training.batch_size,
    accumulation: training.gradient_accumulation_steps,
    epochs: training.n_epochs,
    seed: training.seed,
    packing: training.packing,
    maxSteps: training.max_steps,
  });
}

/** Every example once, in order, in batches of at least eight. */
export function planMeasuring(examples: TokenizedExample[], training: ResolvedTraining): BatchPlan {
  return planEvaluation({
    ...measure(examples),
    batchSize: Math.max(training.batch_size, 8),
    packing: training.packing,
  });
}

function measure(examples: TokenizedExample[]) {
  return {
    lengths: examples.map((e) => e.ids.length),
    labelCounts: examples.map((e) => e.labelled.reduce((sum, flag) => sum + flag, 0)),
  };
}
