import { rungsOf, sweepSteps } from '../config/index.ts';
import type { EstimatedJob, Machine, TrainingEstimate } from './estimate.ts';
import { estimateTraining } from './estimate-training.ts';

/**
 * What a sweep comes to: the steps and tokens of all its trials, the memory of the one that takes most, and the time as if each step
 * were one of their average. Throws as `estimateTraining` does.
 */
export function estimateSweep(trials: readonly EstimatedJob[], machine: Machine): TrainingEstimate {
  const made = new Map<string, TrainingEstimate>();
  const each = trials.map((job) => {
    // The learning rate changes none of it.
    const key = JSON.stringify(job.peft);
    const known = made.get(key) ?? estimateTraining(job, machine);
    made.set(key, known);
    return known;
  });
  const most = (of: keyof Omit<TrainingEstimate, 'seconds'>) => Math.max(...each.map((one) => one[of]));
  const one = { steps: most('steps'), tokens: most('tokens') };
  const steps = sweepSteps(trials.length, rungsOf(trials.length, one.steps, trials[0]!.training.eval_steps));
  const share = steps / one.steps;
  const seconds =
    each.map((one) => one.seconds ?? Number.NaN).reduce((sum, time) => sum + time, 0) / each.length;
  return {
    trainableParameters: most('trainableParameters'),
    totalParameters: most('totalParameters'),
    peakMemoryBytes: most('peakMemoryBytes'),
    tokens: Math.round(one.tokens * share),
    steps,
    seconds: Number.isNaN(seconds) ? null : seconds * share,
  };
}
