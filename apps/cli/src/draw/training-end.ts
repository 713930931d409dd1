import type { FineTuningJob } from '@graft/client';
import { count } from './quantities.ts';

interface End {
  /** The last optimizer step, and the number of planned steps. */
  step: number;
  totalSteps: number;
  publishedStep: number;
  best: { metric: string; value: number } | null;
}

/** The step at which training ended and the step whose adapter was `made`; null where both are simply the last step. */
export function endText({ step, totalSteps, publishedStep, best }: End, made: string): string | null {
  const early = step < totalSteps ? `early at step ${count(step)} of ${count(totalSteps)}` : null;
  const chosen =
    best && publishedStep !== step
      ? `step ${count(publishedStep)} is ${made}, the best ${best.metric}: ${best.value.toFixed(4)}`
      : null;
  return [early, chosen].filter(Boolean).join('; ') || null;
}

export function endOfJob({ training_end: end }: Pick<FineTuningJob, 'training_end'>): string | null {
  if (!end) return null;
  const { step, total_steps: totalSteps, published_step: publishedStep, best } = end;
  return endText({ step, totalSteps, publishedStep, best }, 'published');
}
