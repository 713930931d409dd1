import { longestLead } from '@graft/peft-core/config';
import { ApiError } from '../api-error.ts';
import { leftToGraft, type PlannedJob } from '../estimates/estimate-job.ts';
import type { CheckedTraining } from './check-training.ts';

/** Returns what the estimate of a checked request depends on. Throws ApiError `service_unavailable` while its base model is fetched. */
export function planJob(checked: CheckedTraining): PlannedJob {
  const { baseModel, model, files, seed, trials, resolved } = checked;
  if (!model) {
    throw new ApiError('service_unavailable', `The base model ${baseModel} is being fetched.`, {
      headers: { 'retry-after': '10' },
    });
  }
  const all = resolved.map((training, i) => ({
    peft: trials[i]!.peft,
    training: { ...training, seed: seed ?? training.seed },
  }));
  return {
    model,
    files,
    method: checked.method,
    peft: longestLead(all),
    training: all[0]!.training,
    trials: checked.sweep ? all : [],
    leaves: leftToGraft(checked.training),
    lengthRead: checked.lengthRead,
    leavesLength: checked.training.max_seq_length === undefined,
  };
}
