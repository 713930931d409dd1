import { preferenceHyperparameters } from '@graft/peft-core/config';
import type { Job } from '@graft/service/jobs';
import type { CloneJobSchema } from '@graft/wire/jobs/clone-job';
import { hyperparametersOf, type Method } from '@graft/wire/jobs/method';
import type { Static } from 'typebox';
import type { CreateJobBody } from './check-training.ts';

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
  const kept = keptOptions(job, changes);
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
          ...kept.hyperparameters,
          ...hyperparameters,
          ...(method && hyperparametersOf(method)),
        },
      },
    } as Method,
    training: mergeOptions(
      trainingOf(job, changes, kept.preference),
      preferenceOf(training) ? { ...(training as object), preference: kept.preference } : training,
    ),
    sweep: sweepOf(job, changes),
    ...startOf(job, changes),
  };
}

/** `training.preference`, where it is an object. */
function preferenceOf(training: unknown): Record<string, unknown> | undefined {
  const preference = isObject(training) ? training.preference : undefined;
  return isObject(preference) ? preference : undefined;
}

/**
 * The job's hyperparameters, and `training.preference` of the clone: the options of the job's method with those of the changes, undefined
 * without any. An option that the clone sets in one of these, or sweeps, is left out of the other.
 */
function keptOptions(job: Job, changes: CloneJobBody) {
  const { method } = changes;
  const isOther = method !== undefined && method.type !== job.method;
  const given: Record<string, unknown> = {
    ...changes.hyperparameters,
    ...(method && hyperparametersOf(method)),
  };
  const asked = preferenceOf(changes.training) ?? {};
  const sweep = sweepOf(job, changes);
  const hyperparameters: Record<string, unknown> = { ...job.hyperparameters };
  const preference: Record<string, unknown> = isOther ? {} : { ...job.training.preference };
  for (const name of preferenceHyperparameters) {
    const isSwept = isObject(sweep) && sweep[name] !== undefined;
    if (isOther || isSwept || asked[name] !== undefined) delete hyperparameters[name];
    if (isSwept || given[name] !== undefined) delete preference[name];
    else if (isWinners(job, sweep, name)) preference[name] = job.resolvedTraining?.preference?.[name];
  }
  const all = { ...preference, ...asked };
  return { hyperparameters, preference: Object.keys(all).length > 0 ? all : undefined };
}

/** The clone, which has no sweep, repeats a finished sweep over the option: it uses the winner's value. */
const isWinners = (job: Job, sweep: unknown, name: keyof NonNullable<Job['sweep']>['grid']): boolean =>
  !isObject(sweep) && job.sweep?.grid[name] !== undefined && job.state === 'succeeded';

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
function trainingOf(job: Job, changes: CloneJobBody, preference: object | undefined): object {
  const { seed, learning_rate: rate, preference: _, ...options } = job.training;
  const others = {
    ...options,
    ...(preference && { preference }),
    ...(changes.seed === undefined && seed !== undefined && { seed }),
  };
  const sweep = sweepOf(job, changes);
  if (isObject(sweep) && sweep.learning_rate !== undefined) return others;
  const chosen = isWinners(job, sweep, 'learning_rate') ? job.resolvedTraining?.learning_rate : rate;
  return { ...others, ...(chosen !== undefined && { learning_rate: chosen }) };
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
