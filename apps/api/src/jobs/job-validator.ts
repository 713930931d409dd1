import { GraftError } from '@graft/peft-core/config';
import {
  baseModelFault,
  claimValidation,
  type FileRecord,
  finishValidation,
  getFile,
  heartbeatValidation,
  isDatabaseAway,
  isLastingModelFault,
  type Job,
  type JobError,
  leaseOf,
  randomText,
  releaseValidation,
  repeat,
  type Services,
  type ValidationOutcome,
} from '@graft/service';
import { openBaseModel } from './open-base-model.ts';
import type { OptionChecker } from './option-checker.ts';
import { resolveOptions } from './resolve-options.ts';
import { createFileValidator, type FileValidator } from './validate-files.ts';

export interface JobValidator {
  /** A job was created: look at once. */
  wake(): void;
  /** Stops; the process that starts next repeats a validation under way. */
  close(): Promise<void>;
}

/**
 * Moves jobs from validating to queued or failed: this process's own at once, and within a sweep those that a process left
 * behind when it died. One at a time, because tokenizing takes a whole core.
 */
export function startJobValidator(
  services: Services,
  checker: OptionChecker,
  options: { sweepMs: number },
): JobValidator {
  const files = createFileValidator();
  const claim = { workerId: `validator-${randomText(12)}`, leaseSeconds: services.env.leaseSeconds };
  const loop = repeat(
    'validation',
    options.sweepMs,
    async (stopping) => {
      for (
        let job = await claimValidation(services, claim);
        job;
        job = await claimValidation(services, claim)
      ) {
        await validateJob(services, checker, files, job, stopping);
        if (stopping.aborted) return;
      }
    },
    services.log,
  );
  return {
    wake: loop.wake,
    close: async () => {
      await loop.stop();
      await files.close();
    },
  };
}

// A cancel must take at most two seconds.
const heartbeatMilliseconds = 1000;

async function validateJob(
  services: Services,
  checker: OptionChecker,
  validator: FileValidator,
  job: Job,
  stop: AbortSignal,
): Promise<void> {
  let outcome: ValidationOutcome;
  const lost = new AbortController();
  const { leaseSeconds } = services.env;
  const heartbeat = repeat(
    `validation of ${job.id}`,
    heartbeatMilliseconds,
    async () => {
      if (!(await heartbeatValidation(services, leaseOf(job), { leaseSeconds }))) lost.abort();
    },
    services.log,
  );
  try {
    outcome = await examine(services, checker, validator, job, AbortSignal.any([stop, lost.signal]));
  } catch (error) {
    // Cancelled, or another process has it.
    if (lost.signal.aborted) return;
    if (stop.aborted) return void (await releaseValidation(services, leaseOf(job)));
    // The row stays as it is: another process, or this one later, claims it when its lease has run out.
    if (isDatabaseAway(error)) return;
    services.log.error({ err: error, jobId: job.id }, 'validation failed');
    outcome = { ok: false, error: jobErrorOf(error) };
  } finally {
    await heartbeat.stop();
  }
  const finished = await finishValidation(services, leaseOf(job), outcome);
  services.log.info({ jobId: job.id, state: finished?.state ?? 'fenced' }, 'job validated');
}

/** Checks the options again, since the base model may have been missing when the job was created, and reads the files. */
async function examine(
  services: Services,
  checker: OptionChecker,
  validator: FileValidator,
  job: Job,
  stop: AbortSignal,
): Promise<ValidationOutcome> {
  const model = await openBaseModel(services, job.model, stop);
  stop.throwIfAborted();
  if (!model)
    throw new GraftError('model_not_found', `The base model ${job.model} is gone.`, { param: 'model' });
  const trainingFile = await fileOf(services, job, job.trainingFileId, 'training_file');
  const validationFile =
    job.validationFileId && (await fileOf(services, job, job.validationFileId, 'validation_file'));

  const { peft, hyperparameters } = job;
  const training = { ...job.training, seed: job.seed };
  const resolvedTraining = await resolveOptions(
    checker,
    job.teamId,
    { peft, training, hyperparameters },
    trainingFile.examples ?? 0,
    model,
  );
  const report = await validator.validate(
    {
      trainingFile: await services.files.localPath(trainingFile.path),
      validationFile: validationFile && (await services.files.localPath(validationFile.path)),
      tokenizerFiles: model.tokenizerFiles,
      modelConfig: model.config,
      peft,
      maxSeqLength: resolvedTraining.max_seq_length,
    },
    stop,
  );
  if (report.ok) return { ok: true, resolvedTraining };
  const { code, message, param, fault } = report;
  // The tokenizer is the operator's, so its faults are not the user's.
  if (isLastingModelFault(code)) throw baseModelFault(new GraftError(code, message), job.model, [model.path]);
  return { ok: false, error: { code, message, param, fault } };
}

async function fileOf(services: Services, job: Job, id: string, param: string): Promise<FileRecord> {
  const file = await getFile(services, job.teamId, id);
  if (!file) throw new GraftError('file_not_found', `The file ${id} is gone.`, { param });
  return file;
}

/** What the job shows: messages of GraftErrors in full; the details of other errors are in the log alone. */
function jobErrorOf(error: unknown): JobError {
  if (error instanceof GraftError) {
    const { code, message, param, fault } = error;
    return { code, message, param, fault };
  }
  return {
    code: 'internal_error',
    message: 'The files could not be validated because of a fault of the server.',
    param: null,
    fault: 'system',
  };
}
