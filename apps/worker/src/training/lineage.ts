import { trialName } from '@graft/peft-core/config';
import { autoClass } from '@graft/peft-core/outlines';
import type { CodeVersion } from '@graft/service/code-version';
import type { FileRecord } from '@graft/service/files';
import type { Job, TrialState } from '@graft/service/jobs';
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
  const { base, files, startFrom, request } = prepared;
  const { sweep } = made;
  const { peft, training } = sweep ? request.trials![sweep.trial - 1]! : request;
  const data = ({ file }: { file: FileRecord }) => ({ id: file.id, sha256: file.sha256, bytes: file.bytes });
  const { training: trained, validation, hasLists } = files;
  return {
    job_id: job.id,
    base_model: {
      id: base.id,
      digest: await base.digest(),
      transformers_class: autoClass(base.config, peft.task_type),
    },
    start_from: startFrom && { id: startFrom.id, model: startFrom.modelName, digest: startFrom.digest },
    training_file: data(trained[0]!),
    validation_file: validation[0] ? data(validation[0]) : null,
    ...(hasLists.training && {
      training_files: trained.map((each) => ({ ...data(each), weight: each.weight, epochs: each.epochs })),
    }),
    ...(hasLists.validation && {
      validation_files: validation.map((each) => ({ ...data(each), name: each.name })),
    }),
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
