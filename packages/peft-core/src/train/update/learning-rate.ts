import type { ResolvedTraining } from '../../config/index.ts';

/**
 * Learning rate of optimizer step `step` (from 0) of `total`: linear warmup, then constant, linear to 0, a cosine to 0 or to a minimum
 * rate, or warmup, a constant rate and a decay at the end.
 * Source: transformers, optimization.py (get_*_schedule_with_warmup, get_cosine_with_min_lr_schedule_with_warmup, get_wsd_schedule),
 * except that warmup ends before the last step: transformers trains a run of one step at rate 0.
 */
export function learningRateAt(training: ResolvedTraining, step: number, total: number): number {
  const { learning_rate: peak, lr_scheduler_kwargs: kwargs = {} } = training;
  const warmup = Math.min(training.warmup_steps, total - 1);
  if (training.lr_scheduler_type === 'warmup_stable_decay')
    return peak * Math.max(0, stableShare(kwargs, step, warmup, total));
  if (step < warmup) return (peak * step) / Math.max(1, warmup);
  const progress = (step - warmup) / Math.max(1, total - warmup);
  switch (training.lr_scheduler_type) {
    case 'constant':
      return peak;
    case 'linear':
      return peak * Math.max(0, 1 - progress);
    case 'cosine':
      return peak * Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
    case 'cosine_with_min_lr': {
      const least = kwargs.min_lr_rate ?? kwargs.min_lr! / peak;
      return peak * Math.max(0, least + (1 - least) * fall('cosine', progress, kwargs.num_cycles));
    }
  }
}

type Kwargs = NonNullable<ResolvedTraining['lr_scheduler_kwargs']>;
type Shape = NonNullable<Kwargs['decay_type']>;

/** Share of the peak rate. A run with fewer steps than were planned when it was requested decays sooner. */
function stableShare(kwargs: Kwargs, step: number, warmup: number, total: number): number {
  const { min_lr_ratio: least = 0, warmup_type: rises = 'linear', decay_type: falls = 'cosine' } = kwargs;
  const above = (share: number) => share * (1 - least) + least;
  if (step < warmup) return above(rise(rises, step / Math.max(1, warmup)));
  const decay = Math.min(kwargs.num_decay_steps ?? 0, total - warmup);
  const stable = Math.min(kwargs.num_stable_steps ?? total, total - warmup - decay);
  const since = step - warmup - stable;
  if (since < 0) return 1;
  return since < decay ? above(fall(falls, since / Math.max(1, decay), kwargs.num_cycles)) : least;
}

function rise(shape: Shape, progress: number): number {
  if (shape === 'linear') return progress;
  return shape === 'cosine' ? 0.5 * (1 - Math.cos(Math.PI * progress)) : 1 - Math.sqrt(1 - progress);
}

function fall(shape: Shape, progress: number, cycles = 0.5): number {
  if (shape === 'linear') return 1 - progress;
  return shape === 'cosine' ? 0.5 * (1 + Math.cos(2 * Math.PI * cycles * progress)) : 1 - Math.sqrt(progress);
}
