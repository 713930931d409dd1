import type { Job } from '@graft/service';
import type { CodeVersion } from './code-version.ts';
import type { Device } from './devices.ts';
import type { PreparedTraining } from './prepare-training.ts';

/** Everything an adapter version came from: enough to train it again and compare. */
export async function lineageOf(
  job: Job,
  prepared: PreparedTraining,
  made: { code: CodeVersion; device: Device },
): Promise<Record<string, unknown>> {
  const { base, trainingFile, validationFile, request } = prepared;
  const data = (file: typeof trainingFile) => ({ id: file.id, sha256: file.sha256, bytes: file.bytes });
  return {
    jobId: job.id,
    baseModel: { id: base.id, digest: await base.digest() },
    trainingFile: data(trainingFile),
    validationFile: validationFile && data(validationFile),
    seed: request.training.seed,
    peft: request.peft,
    training: request.training,
    hyperparameters: job.hyperparameters,
    code: made.code,
    device: made.device.kind === 'gpu' ? made.device.name : 'cpu',
  };
}
