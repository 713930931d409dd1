import { GraftError, objectiveFor, optimizerSteps, type ResolvedTraining } from '@graft/peft-core/config';
import { type Requirements, threadCount } from '@graft/peft-core/precision';
import { type AdapterVersion, findVersionById } from '@graft/service/adapters';
import { admitBaseModel } from '@graft/service/added-models';
import { hubIdOf, type LocalBaseModel } from '@graft/service/base-models';
import {
  dataFilesOf,
  epochOf,
  findJobFile,
  type Job,
  type JobFiles,
  type JobTrial,
  listTrials,
  readJobFiles,
} from '@graft/service/jobs';
import type { Services } from '@graft/service/services';
import { type Device, resolvePrecision } from '../devices.ts';
import { withMicroBatch } from './memory/smaller-batch.ts';
import type { TrainingRequest } from './trainer-protocol.ts';
import { fewestSteps } from './untrusted/trainer-message-check.ts';
import type { TrainerOutput } from './untrusted/trainer-output.ts';

export interface PreparedTraining {
  request: TrainingRequest;
  base: LocalBaseModel;
  files: JobFiles;
  startFrom: AdapterVersion | null;
  /** The trials of a sweep; empty for other jobs. */
  trials: JobTrial[];
  /** Upper bound of the steps that a trainer may report, for all trials. More than planned: only the trainer knows the exact number. */
  maxSteps: number;
}

// While a base model is downloaded, its progress is logged as an event at most this often.
const noteMilliseconds = 10_000;

/**
 * Locates the base model (downloading it where necessary) and the files of a job, and fixes the settings that depend on the device.
 * Throws GraftError: for a model that is not on this machine an environment fault, for a deleted file a system fault; and the errors
 * of `ArtifactStore.localFolder`.
 */
export async function prepareTraining(
  job: Job,
  folders: TrainerOutput['folders'],
  options: {
    services: Services;
    device: Device;
    checkpoints: TrainingRequest['checkpoints'];
    note: (message: string) => void;
    signal: AbortSignal;
  },
): Promise<PreparedTraining> {
  const { services, device, checkpoints, note, signal } = options;
  if (!job.resolvedTraining) throw gone('training_not_resolved', 'The training options were not resolved.');
  let noted = Number.NEGATIVE_INFINITY;
  const onProgress = (message: string) => {
    if (performance.now() - noted < noteMilliseconds) return;
    noted = performance.now();
    note(message);
  };
  const base = await services.baseModels.get(job.model, { onProgress, signal });
  if (!base) {
    // The job was accepted, so another machine's catalogue has the model.
    const message = `The base model ${job.model} is not available on this worker.`;
    throw new GraftError('model_not_found', message, { param: 'model', fault: 'environment' });
  }
  await admitBaseModel(services, base);
  const files = await readJobFiles(job, async (file) => await findJobFile(services, job.teamId, file));
  const epoch = epochOf(files, job.training);
  const startFrom = job.startFromId === null ? null : await versionOf(services, job, job.startFromId);
  const { resolvedTraining: training, peft } = job;
  const requirements = requirementsOf(job, training.precision, device);
  const trials = job.sweep ? await listTrials(services, job.teamId, job.id) : [];
  const { precision } = requirements;
  const microBatch = job.requirements?.microBatch;
  const how = objectiveFor(peft.task_type, epoch.format, job.method);
  const request: TrainingRequest = {
    basePath: base.path,
    digestCache: base.digestCache,
    baseModelName: job.model,
    publicBaseName: (await hubIdOf(services.baseModels, job.teamId, job.model)) ?? job.model,
    ...(await dataFilesOf(files, async (file) => await services.files.localPath(file, job.id))),
    peft,
    training: withMicroBatch({ ...training, precision }, microBatch, how),
    method: job.method,
    trials:
      trials.length > 0
        ? trials.map(({ peft, resolvedTraining }) => ({
            peft,
            training: withMicroBatch({ ...resolvedTraining!, precision }, microBatch, how),
          }))
        : null,
    ...(job.sweep && { comparison: job.sweep.comparison ?? 'early' }),
    requirements,
    initialAdapter: startFrom && (await services.artifacts.localFolder(startFrom.artifact)),
    initialName: startFrom?.digest ?? null,
    outputDir: folders.outputDir,
    snapshotDir: folders.snapshotDir,
    checkpoints,
  };
  const { steps } = optimizerSteps(epoch.examples ?? Number.POSITIVE_INFINITY, training);
  const maxSteps = Math.max(fewestSteps, 2 * steps * Math.max(1, trials.length));
  return { request, base, files, startFrom, trials, maxSteps };
}

/** The requirements fixed at the job's first claim; at this claim, those of this worker. */
function requirementsOf(job: Job, precision: ResolvedTraining['precision'], device: Device): Requirements {
  const required = job.requirements ?? {
    precision: resolvePrecision(precision, device),
    threads: threadCount(),
    device: device.kind,
    ...(device.kind === 'gpu' && { gpu: device.name }),
  };
  if (required.gpu !== undefined && (device.kind !== 'gpu' || device.name !== required.gpu))
    throw new GraftError(
      'requirements_not_met',
      `the job is computed on ${required.gpu}, and this worker's trainer has ${device.kind === 'gpu' ? device.name : 'no GPU'}`,
      { fault: 'environment' },
    );
  return { kernels: 'stock', ...required };
}

async function versionOf(services: Services, job: Job, id: string): Promise<AdapterVersion> {
  const version = await findVersionById(services, job.teamId, id);
  if (!version) throw gone('model_not_found', `The model ${job.startFromModel} is gone.`, 'start_from');
  return version;
}

function gone(code: string, message: string, param: string | null = null): GraftError {
  return new GraftError(code, message, { param, fault: 'system' });
}
