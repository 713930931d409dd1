import {
  epochExamples,
  GraftError,
  longestLead,
  type ResolvedTraining,
  type SweepTrial,
} from '@graft/peft-core/config';
import { lengthRead, resolveTrials, type TrialsData } from '@graft/peft-core/examples';
import { ThreadTimeout } from '@graft/peft-core/threads';
import { findVersionById } from '@graft/service/adapters';
import { baseModelFault, isLastingModelFault } from '@graft/service/base-models';
import { isDatabaseUnavailable } from '@graft/service/database';
import { type FileRecord, getFile } from '@graft/service/files';
import { randomText } from '@graft/service/ids';
import {
  breakValidation,
  claimValidation,
  type DataCounts,
  dataFilesOf,
  epochOf,
  findValidationResult,
  finishValidation,
  heartbeatValidation,
  type Job,
  type JobError,
  type JobEstimate,
  type JobFile,
  keepValidationResult,
  leaseOf,
  listTrials,
  mixtureOfJob,
  readJobFiles,
  releaseValidation,
  returnValidation,
  type ValidationOutcome,
  type ValidationProgress,
} from '@graft/service/jobs';
import { type Claiming, holdLease, retryWhile, startClaiming } from '@graft/service/repeat';
import type { Services } from '@graft/service/services';
import { isStorageUnavailable } from '@graft/service/storage';
import { checkJobQuota, readQuota } from '@graft/service/teams';
import { estimateJob, leftToGraft, type PlannedJob, sampleKeyOf } from '../estimates/estimate-job.ts';
import { unfitJob } from '../estimates/unfit-job.ts';
import { createFileThreads, type FileThreads, ThreadDied } from '../job-files/file-threads.ts';
import { jobReading } from '../job-files/task-tokenizer.ts';
import { validationKey } from '../job-files/validation-key.ts';
import { keptOfStart } from './find-start.ts';
import { observeValidation } from './observe-validation.ts';
import { openBaseModel } from './open-base-model.ts';
import type { OptionChecker } from './option-checker.ts';
import { plannedTokens } from './planned-tokens.ts';

interface ValidatorOptions {
  /** Interval at which abandoned validations are searched for. */
  sweepMs: number;
  estimateTimeoutMs: number;
  /**
   * Time limit for reading a job's files, because other teams wait for the thread. Templates that never finish end at a budget of steps, so
   * only a slow or busy machine should reach this limit.
   */
  validationTimeoutMs: { base: number; perMegabyte: number };
  /** Fail a job that needs more memory than any live worker has, instead of queueing it. */
  refuseUnfitJobs: boolean;
}

interface Validation extends Omit<ValidatorOptions, 'sweepMs'> {
  services: Services;
  checker: OptionChecker;
  files: FileThreads;
  job: Job;
  /** Fires when the process stops, and when the job is cancelled or claimed by another process. */
  signal: AbortSignal;
  onProgress(progress: ValidationProgress): void;
}

/**
 * Moves jobs from validating to queued or failed: immediately for jobs created in this process, and within a sweep for those of a process
 * that died. Runs several at a time; the last thread takes only jobs of a team that has no validation running in any process.
 */
export function startJobValidator(
  services: Services,
  checker: OptionChecker,
  options: ValidatorOptions,
): Claiming {
  const { count: most, heapMb } = services.threads.validations;
  const files = createFileThreads({ heapMb });
  const { leaseSeconds } = services.env;
  const claim = { workerId: `validator-${randomText(12)}`, leaseSeconds };
  const { log } = services;
  return startClaiming<Job>({
    name: 'validation',
    pollMs: options.sweepMs,
    concurrency: most,
    log,
    claim: (count) => claimValidation(services, { ...claim, onlyIdleTeams: count === 1 }),
    work: (job, { closing }) => {
      const validate = () => validateJob({ ...options, services, checker, files, job }, closing);
      return observeValidation(job, validate);
    },
    onFault: (err, job) => log.error({ err, jobId: job.id }, 'validation was not finished'),
    closed: () => files.close(),
  });
}

/** Returns the resulting state of the job, or `broken`, `fenced`, `returned` or `released` if another process continues the validation. */
async function validateJob(
  what: Omit<Validation, 'signal' | 'onProgress'>,
  stop: AbortSignal,
): Promise<string> {
  const { services, job } = what;
  const lease = leaseOf(job);
  const { leaseSeconds } = services.env;
  let progress: ValidationProgress | undefined;
  const held = holdLease(
    `validation of ${job.id}`,
    services.log,
    () => heartbeatValidation(services, lease, { leaseSeconds, progress }),
    // A cancel must take effect within two seconds.
    Math.min(1000, leaseSeconds * 250),
  );
  const signal = AbortSignal.any([stop, held.lost]);
  try {
    const onProgress = (news: ValidationProgress) => {
      progress = news;
    };
    const end = await outcomeOf({ ...what, signal, onProgress });
    if (end instanceof ThreadDied || end instanceof ThreadTimeout) {
      const isTimeout = end instanceof ThreadTimeout;
      const reason = isTimeout
        ? 'Reading the files took longer than files of this size may take.'
        : end.message;
      const left = await retryWhileUnavailable(signal, () =>
        breakValidation(services, lease, { reason, leaseSeconds, isTimeout }),
      );
      services.log.error({ err: end, jobId: job.id, state: left?.state ?? 'fenced' }, 'validation broke');
      return 'broken';
    }
    if (end instanceof GraftError) {
      const error = { ...errorOf(end), fault: 'environment' } as const;
      const left = await retryWhileUnavailable(signal, () => returnValidation(services, lease, error));
      return left?.state === 'validating' ? 'returned' : (left?.state ?? 'fenced');
    }
    const finished = await retryWhileUnavailable(signal, () => finishValidation(services, lease, end));
    const state = finished?.state ?? 'fenced';
    services.log.info({ jobId: job.id, state }, 'job validated');
    return state;
  } catch (error) {
    // Cancelled, or claimed by another process.
    if (held.lost.aborted) return 'fenced';
    if (!stop.aborted) throw error;
    await releaseValidation(services, lease);
    return 'released';
  } finally {
    await held.release();
  }
}

/**
 * Returns the outcome of a validation; an unexpected error is a failed validation. Returns a GraftError if the base model is unavailable on this
 * machine, so that another process should validate the job. Throws if the validation was stopped.
 */
async function outcomeOf(
  validation: Validation,
): Promise<ValidationOutcome | ThreadDied | ThreadTimeout | GraftError> {
  try {
    return await checkAndRead(validation);
  } catch (error) {
    if (validation.signal.aborted) throw error;
    if (error instanceof ThreadDied || error instanceof ThreadTimeout) return error;
    // The model is in the catalogue: it may be available here later, and on other servers now.
    if (error instanceof GraftError && error.code === 'base_model_unavailable') return error;
    validation.services.log.error({ err: error, jobId: validation.job.id }, 'validation failed');
    return { ok: false, error: jobErrorOf(error) };
  }
}

/** Runs the query, and retries while Postgres is unavailable, which is not the job's fault. Throws when `signal` fires. */
const retryWhileUnavailable = <T>(signal: AbortSignal, query: () => Promise<T>): Promise<T> =>
  retryWhile(isDatabaseUnavailable, signal, query);

/** Checks the options again, since the base model may have been unavailable when the job was created, and reads the files. */
async function checkAndRead(validation: Validation): Promise<ValidationOutcome> {
  const { services, checker, files, job, signal, onProgress } = validation;
  const model = await openBaseModel(services, job.model, signal);
  signal.throwIfAborted();
  if (!model)
    throw new GraftError('model_not_found', `The base model ${job.model} no longer exists.`, {
      param: 'model',
    });
  const jobFiles = await readJobFiles(job, async (file) => await fileOf(validation, file));
  const training = epochOf(jobFiles, job.training);
  const mixture = mixtureOfJob(jobFiles, job.training);

  const asked: SweepTrial[] = job.sweep
    ? await retryWhileUnavailable(signal, () => listTrials(services, job.teamId, job.id))
    : [job];
  // Checks the quota again: without the base model the default length was unknown when the job was created.
  const quota = await retryWhileUnavailable(signal, () => readQuota(services, job.teamId));
  const { startFromId } = job;
  const start = startFromId
    ? await retryWhileUnavailable(signal, () => findVersionById(services, job.teamId, startFromId))
    : null;
  const plan = {
    sweep: job.sweep?.grid ?? null,
    trials: asked.map(({ peft, training }) => ({ peft, training: { ...training, seed: job.seed } })),
  };
  const { method, hyperparameters } = job;
  const given = {
    method,
    hyperparameters,
    continues: startFromId !== null,
    ...keptOfStart(start),
    hasValidationFile: jobFiles.validation.length > 0,
    quotaLength: quota?.maxSeqLength ?? null,
  };
  const resolve = async (data: TrialsData, checksPeft = false) => {
    const resolved = await resolveTrials(plan, given, data, model, {
      peft: checksPeft && !startFromId && (async (peft) => await checker.check(job.teamId, peft, model)),
      resolved: ({ peft, training: { max_seq_length: maxSeqLength } }) =>
        checkJobQuota(quota, { model: job.model, peft, maxSeqLength }),
    });
    const [resolvedTraining] = resolved as [ResolvedTraining];
    const trials = job.sweep ? resolved.map((fixed, i) => ({ peft: asked[i]!.peft, training: fixed })) : [];
    return { resolvedTraining, trials };
  };
  const { resolvedTraining, trials } = await resolve(training, true);
  const peft = longestLead(asked);
  const longestRead = lengthRead(job.training, { ...given, ...training }, model);
  const what = jobReading({ model, method, peft, training: resolvedTraining, lengthRead: longestRead });
  const key = validationKey(jobFiles, { ...what, mixture });
  const known = await retryWhileUnavailable(signal, () => findValidationResult(services, job.teamId, key));
  if (known?.error) return { ok: false, error: known.error };
  const planned = {
    model,
    files: jobFiles,
    method,
    peft,
    trials,
    training: resolvedTraining,
    leaves: leftToGraft(job.training),
    lengthRead: longestRead,
    // The length is resolved before the estimate.
    leavesLength: false,
  };
  const valid = async (tokens: number, dataCounts: DataCounts): Promise<ValidationOutcome> => {
    // Options left to Graft are resolved from the data as read.
    const { training: counts, longest = longestRead } = dataCounts;
    const cut = [counts, dataCounts.validation].some((each) => each && each.truncated + each.skipped > 0);
    const perFile = dataCounts.trainingFiles?.map(({ examples }) => examples) ?? [counts.examples];
    const examples = epochExamples(perFile, mixture);
    const file = { ...training, examples, longestExample: cut ? longestRead : longest };
    const fixed = await resolve(file);
    const { trials } = fixed;
    const settled = { ...planned, training: fixed.resolvedTraining, trials };
    const { estimate, training: options } = await estimateOf(validation, settled);
    const unfit = estimate && validation.refuseUnfitJobs ? unfitJob(estimate) : null;
    if (estimate && unfit) return { ok: false, error: unfit, estimate };
    const most = plannedTokens(options, examples, tokens, trials.length);
    const { gradient_checkpointing, mini_batch_size } = options;
    return {
      ok: true,
      resolvedTraining: options,
      plannedTokens: most,
      estimate,
      dataCounts,
      trials: trials.map((trial) => ({ ...trial.training, gradient_checkpointing, mini_batch_size })),
    };
  };
  if (known?.counts && known.tokens !== null) return await valid(known.tokens, known.counts);

  const all = [...jobFiles.training, ...jobFiles.validation];
  onProgress({ bytes: 0, totalBytes: all.reduce((sum, { file }) => sum + file.bytes, 0), examples: 0 });
  const localPath = async (file: FileRecord) =>
    await retryWhile(isStorageUnavailable, signal, () => services.files.localPath(file, job.id), 1000);
  const paths = await dataFilesOf(jobFiles, localPath);
  const sample = { sampleKey: sampleKeyOf(planned), training: resolvedTraining };
  const megabytes = all.reduce((sum, { file }) => sum + file.bytes, 0) / 1e6;
  const { base, perMegabyte } = validation.validationTimeoutMs;
  const timeoutMs = base + Math.ceil(megabytes * perMegabyte);
  const report = await files.validate({ ...what, ...paths, sample }, { signal, onProgress, timeoutMs });
  // The operator provides the tokenizer, so its errors are not user errors.
  if (!report.ok && isLastingModelFault(report.code, report.param))
    throw baseModelFault(new GraftError(report.code, report.message), job.model, [model.path]);
  const error = report.ok ? null : errorOf(report);
  await keepValidationResult(services, job.teamId, key, error, report.ok ? report : null).catch((err) =>
    services.log.warn({ err, jobId: job.id }, 'the result of a validation was not kept'),
  );
  return report.ok ? await valid(report.tokens, report.counts) : { ok: false, error: error! };
}

/** Estimates the job. If that fails: null and unchanged options, since no job fails for that. Throws if the validation was stopped. */
async function estimateOf(
  { services, files, job, signal, estimateTimeoutMs: timeoutMs }: Validation,
  planned: PlannedJob,
): Promise<{ estimate: JobEstimate | null; training: ResolvedTraining }> {
  try {
    return await estimateJob(services, files, planned, { timeoutMs, signal });
  } catch (err) {
    if (signal.aborted) throw err;
    services.log.warn({ err, jobId: job.id }, 'estimate failed');
    return { estimate: null, training: planned.training };
  }
}

async function fileOf({ services, job, signal }: Validation, { id, param }: JobFile): Promise<FileRecord> {
  const file = await retryWhileUnavailable(signal, () => getFile(services, job.teamId, id));
  if (!file) throw new GraftError('file_not_found', `The file ${id} no longer exists.`, { param });
  return file;
}

function errorOf({ code, message, param, fault, details }: Pick<JobError, keyof JobError>): JobError {
  return { code, message, param, fault, ...(details && { details }) };
}

/** The error shown on the job: the full message of a GraftError; details of other errors are only logged. */
function jobErrorOf(error: unknown): JobError {
  if (error instanceof GraftError) return errorOf(error);
  return {
    code: 'internal_error',
    message: 'The files could not be validated because of a fault of the server.',
    param: null,
    fault: 'system',
  };
}
