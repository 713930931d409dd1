import type { ResolvedTraining } from '../../config/index.ts';

/**
 * Learning rate of optimizer step `step` (from 0) of `total`: linear warmup, then constant, linear to 0, or half a cosine to 0.
 * Source: transformers, optimization.py (get_*_schedule_with_warmup).
 */
export function learningRateAt(training: ResolvedTraining, step: number, total: number): number {
  const { learning_rate: peak, warmup_steps: warmup } = training;
  if (step < warmup) return (peak * step) / Math.max(1, warmup);
  const progress = (step - warmup) / Math.max(1, total - warmup);
  switch (training.lr_scheduler_type) {
    case 'constant':
      return peak;
    case 'linear':
      return peak * Math.max(0, 1 - progress);
    case 'cosine':
      return peak * Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
  }
}
