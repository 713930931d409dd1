import { countOf } from '../tuners/file-tensors.ts';
import type { EstimatedJob, Machine, TrainingEstimate } from './estimate.ts';
import { jobParts } from './job-parts.ts';
import { peakMemory } from './peak-memory.ts';
import { trainingSeconds } from './training-seconds.ts';

/**
 * Estimates a job on a machine. Exact if its sample contains all of its examples, except for memory and time, whose constants were
 * measured with `bench/estimates` (docs/estimates.md). Throws GraftErrors of the model's outline.
 */
export function estimateTraining(job: EstimatedJob, machine: Machine): TrainingEstimate {
  const parts = jobParts(job, machine);
  const { model, batches, trainedParameters } = parts;
  return {
    trainableParameters: trainedParameters,
    totalParameters: countOf(model.parameters) + trainedParameters,
    peakMemoryBytes: Math.round(peakMemory(parts)),
    tokens: batches.tokens,
    steps: batches.steps,
    seconds: machine.flops === null ? null : trainingSeconds(parts, machine.flops),
  };
}
