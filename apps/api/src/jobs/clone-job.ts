import type { Job } from '@graft/service/jobs';
import type { CloneJobSchema } from '@graft/wire/jobs/clone-job';
import { hyperparametersOf, type Method } from '@graft/wire/jobs/method';
import type { Static } from 'typebox';
import type { CreateJobBody } from './check-new-job.ts';

export type CloneJobBody = Static<typeof CloneJobSchema>;

/**
 * Returns the request that repeats `job` with `changes`. The seed is the same unless the changes have one (null: a new one). Options that
 * were automatic are automatic again. Changes of `peft`, `training`, `training.preference` and hyperparameters are merged into the job's;
 * a `peft` of another method replaces the job's, and another `method.type` drops its preference options. `sweep` replaces the job's; null
 * requests a job without a sweep.
 */
export function cloneRequest(job: Job, changes: CloneJobBody): CreateJobBody {
  const { hyperparameters, method, peft, training, sweep: _, ...rest } = changes;
  const type = method?.type ?? job.method;
  return {
    model: job.model,
    ...filesOf(job, changes),
    suffix: job.suffix,
    metadata: job.metadata,
    integrations: job.integrations,
    ...rest,
    seed: seedOf(job, changes),
    method: {
      ...method,
      type,
      [type]: {
        hyperparameters: {
          ...hyperparametersToKeep(job, changes),
          ...hyperparameters,
          ...(method && hyperparametersOf(method)),
        },
      },
    } as Method,
    training: mergeOptions(
      trainingOf(job, changes),
      preferenceOf(training)
        ? { ...(training as object), preference: clonedPreference(job, changes) }
        : training,
    ),
    sweep: sweepOf(job, changes),
    ...startOf(job, changes),
  };
}

/** Checks whether the clone has another method, for which options of the job's own have no meaning. */
const changesMethod = (job: Job, { method }: CloneJobBody): boolean =>
  method !== undefined && method.type !== job.method;

/** The job's hyperparameters, without `beta` if the clone sets or sweeps it elsewhere. */
function hyperparametersToKeep(job: Job, changes: CloneJobBody): Job['hyperparameters'] {
  const { beta, ...others } = job.hyperparameters;
  const isGiven = preferenceOf(changes.training)?.beta !== undefined || sweepsBeta(sweepOf(job, changes));
  return beta === undefined || isGiven || changesMethod(job, changes) ? others : { ...others, beta };
}

const sweepsBeta = (sweep: unknown): boolean => isObject(sweep) && sweep.beta !== undefined;

/** `training.preference`, where it is an object. */
function preferenceOf(training: unknown): Record<string, unknown> | undefined {
  const preference = isObject(training) ? training.preference : undefined;
  return isObject(preference) ? preference : undefined;
}

/** `training.preference` of the clone: the options of the job's method, with those of the changes; undefined without any. */
function clonedPreference(job: Job, changes: CloneJobBody): Record<string, unknown> | undefined {
  const sweep = sweepOf(job, changes);
  const usesWinner = !isObject(sweep) && sweepsBeta(job.sweep?.grid) && job.state === 'succeeded';
  const kept: Record<string, unknown> = changesMethod(job, changes) ? {} : { ...job.training.preference };
  const isGiven =
    sweepsBeta(sweep) ||
    [changes.hyperparameters, changes.method && hyperparametersOf(changes.method)].some(
      (given) => (given as Job['hyperparameters'] | undefined)?.beta !== undefined,
    );
  if (isGiven) delete kept.beta;
  else if (usesWinner) kept.beta = job.resolvedTraining?.preference?.beta;
  const all = { ...kept, ...preferenceOf(changes.training) };
  return Object.keys(all).length > 0 ? all : undefined;
}

/** The files of the job; of each kind, those of the changes replace all of the job's. */
function filesOf(job: Job, changes: CloneJobBody): Partial<CreateJobBody> {
  const { training_file, training_files, validation_file, validation_files } = changes;
  const keepsTraining = !training_file && !training_files;
  const keepsValidation = validation_file === undefined && validation_files === undefined;
  return {
    training_file: keepsTraining && !job.trainingFiles ? job.trainingFileId : null,
    training_files: keepsTraining ? job.trainingFiles : null,
    validation_file: keepsValidation && !job.validationFiles ? job.validationFileId : null,
    validation_files: keepsValidation ? job.validationFiles : null,
  };
}

/** A seed given under either name overrides the job's. */
function seedOf(job: Job, { seed, training }: CloneJobBody): number | null {
  if (seed !== undefined) return seed;
  return isObject(training) && training.seed !== undefined ? null : job.seed;
}

const sweepOf = (job: Pick<Job, 'sweep'>, { sweep }: CloneJobBody): unknown =>
  sweep === undefined ? (job.sweep?.grid ?? null) : sweep;

/**
 * The training options without the seed, which would contradict a new one, and without the learning rate if the sweep varies it. A job
 * without a sweep that repeats a finished sweep uses the winner's learning rate.
 */
function trainingOf(job: Job, changes: CloneJobBody): object {
  const { seed: _, learning_rate: rate, preference: __, ...options } = job.training;
  const { training } = job;
  const preference = clonedPreference(job, changes);
  const others = preference ? { ...options, preference } : options;
  const seed = changes.seed === undefined && training.seed !== undefined ? { seed: training.seed } : {};
  const sweep = sweepOf(job, changes);
  if (isObject(sweep) && sweep.learning_rate !== undefined) return { ...others, ...seed };
  const usesWinner =
    !isObject(sweep) && job.sweep?.grid.learning_rate !== undefined && job.state === 'succeeded';
  const chosen = usesWinner ? job.resolvedTraining?.learning_rate : rate;
  return { ...others, ...seed, ...(chosen !== undefined && { learning_rate: chosen }) };
}

/** The adapter and the configuration that training starts from. An adapter has its own configuration. */
function startOf(job: Job, changes: CloneJobBody): Partial<CreateJobBody> {
  const { model, start_from: startFrom, peft } = changes;
  const isTuned = model?.startsWith('ft:') ?? false;
  const kept = isTuned || startFrom !== undefined ? null : job.startFromModel;
  if (isTuned || startFrom || kept !== null)
    return { start_from: startFrom ?? kept, ...(peft !== undefined && { peft }) };
  const before = requestedPeft(job, changes);
  const isOther = isObject(peft) && peft.peft_type !== undefined && peft.peft_type !== before?.peft_type;
  const wanted = isOther || before === null ? peft : mergeOptions(before, peft);
  return { start_from: null, ...(wanted !== undefined && { peft: wanted }) };
}

/** The requested configuration, without the rank if the sweep varies it. Null if none was requested. */
function requestedPeft(job: Job, changes: CloneJobBody): Record<string, unknown> | null {
  const sweep = sweepOf(job, changes);
  const requested: unknown = isObject(sweep) && job.sweep ? job.sweep.peft : job.peft;
  if (!isObject(requested)) return null;
  const { r: _, ...others } = requested;
  return isObject(sweep) && sweep.r !== undefined ? others : requested;
}

/** Merges the given options into the previous ones. The parser rejects a value that is not an object. */
function mergeOptions(before: object, given: unknown): unknown {
  if (given === undefined) return before;
  return isObject(given) ? { ...before, ...given } : given;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
