import { rungsOf, SHARED_ADAPTERS, sweepSteps } from '../config/index.ts';
import type { EstimatedJob, Machine, TrainingEstimate } from './estimate.ts';
import { estimateTraining } from './estimate-training.ts';
import { jobParts } from './job-parts.ts';
import { waitingMemory } from './peak-memory.ts';

/**
 * Estimates a sweep: the steps and tokens of all its trials; the memory of the largest trial and of those that wait beside it; and the
 * time, with the average duration of a step in all trials. Throws as `estimateTraining` does.
 */
export function estimateSweep(trials: readonly EstimatedJob[], machine: Machine): TrainingEstimate {
  // The learning rate does not affect the estimate.
  const configurations = new Map(trials.map((job) => [JSON.stringify(job.peft), job]));
  const each = [...configurations.values()].map((job) => ({
    ...estimateTraining(job, machine),
    waiting: waitingMemory(jobParts(job, machine)),
  }));
  const most = (of: keyof Omit<TrainingEstimate, 'seconds'>) => Math.max(...each.map((one) => one[of]));
  const [first] = trials as [EstimatedJob];
  const alone = { steps: most('steps'), tokens: most('tokens') };
  const steps = sweepSteps(trials.length, rungsOf(trials.length, alone.steps, first.training.eval_steps));
  const share = steps / alone.steps;
  const seconds = each.reduce((sum, one) => sum + (one.seconds ?? Number.NaN), 0) / each.length;
  const waiting = each.map((one) => one.waiting).sort((a, b) => b - a);
  return {
    trainableParameters: most('trainableParameters'),
    totalParameters: most('totalParameters'),
    peakMemoryBytes:
      most('peakMemoryBytes') +
      Math.round(waiting.slice(1, SHARED_ADAPTERS).reduce((sum, bytes) => sum + bytes, 0)),
    tokens: Math.round(alone.tokens * share),
    steps,
    seconds: Number.isNaN(seconds) ? null : seconds * share,
  };
}
