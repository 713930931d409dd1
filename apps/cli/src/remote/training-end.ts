import type { FineTuningJob } from '@graft/client';
import { count } from '../draw/quantities.ts';

/** At which step training ended and why, where that was not simply the last. */
export function endOf({ training_end: end }: Pick<FineTuningJob, 'training_end'>): string | null {
  if (!end) return null;
  const { step, total_steps: total, reason, published_step: published, best } = end;
  const early = reason === 'early_stopping' ? `early at step ${count(step)} of ${count(total)}` : null;
  const chosen =
    best && published !== step
      ? `step ${count(published)} is published, the best ${best.metric}: ${best.value.toFixed(4)}`
      : null;
  return [early, chosen].filter(Boolean).join('; ') || null;
}
