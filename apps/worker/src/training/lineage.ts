import { trialName } from '@graft/peft-core/config';
import type { CodeVersion, Job, TrialState } from '@graft/service';
import type { Device } from '../devices.ts';
import type { PreparedTraining } from './prepare-training.ts';

/** Everything that determines an adapter version, enough to train it again and compare. Clients see it unchanged. */
export async function lineageOf(
  job: Job,
  prepared: PreparedTraining,
  made: {
    code: CodeVersion;
    device: Device;
    sweep?: { trial: number; trials: readonly TrialState[] } | undefined;
  },
): Promise<Record<string, unknown>> {
  const { base, trainingFile, validationFile, startFrom, request } = prepared;
  const { sweep } = made;
  const { peft, training } = sweep ? request.trials![sweep.trial - 1]! : request;
  const data = (file: typeof trainingFile) => ({ id: file.id, sha256: file.sha256, bytes: file.bytes });
  return {
    job_id: job.id,
    base_model: { id: base.id, digest: await base.digest() },
    start_from: startFrom && { id: startFrom.id, model: startFrom.modelName, digest: startFrom.digest },
    training_file: data(trainingFile),
    validation_file: validationFile && data(validationFile),
    seed: training.seed,
    peft,
    training,
    hyperparameters: job.hyperparameters,
    ...(sweep && { sweep: sweepOf(sweep, request) }),
    code: made.code,
    device: made.device.kind === 'gpu' ? made.device.name : 'cpu',
  };
}

/** The number of the trial, and the results of all trials. */
function sweepOf(
  { trial, trials }: { trial: number; trials: readonly TrialState[] },
  request: PreparedTraining['request'],
) {
  return {
    trial,
    trials: trials.map((each, i) => ({ ...each, configuration: trialName(request.trials![i]!) })),
  };
}
