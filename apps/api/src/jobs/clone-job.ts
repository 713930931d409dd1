import type { Job } from '@graft/service';
import type { Static } from 'typebox';
import type { CloneJobSchema } from '../schemas/jobs/clone-job.ts';
import { hyperparametersOf } from '../schemas/jobs/method.ts';
import type { CreateJobBody } from './check-new-job.ts';

export type CloneJobBody = Static<typeof CloneJobSchema>;

/**
 * The request that makes `job` again, with `changes` over it: with the same seed unless one is given (null: a new one), and with the
 * numbers that were left to Graft left to it again. Of `peft`, `training` and the hyperparameters those options change that are
 * given; a `peft` of another method replaces it. A `sweep` replaces the job's; `null` makes a plain job of it.
 */
export function cloneRequest(job: Job, changes: CloneJobBody): CreateJobBody {
  const { hyperparameters, method, peft, training, sweep: _, ...rest } = changes;
  return {
    model: job.model,
    training_file: job.trainingFileId,
    validation_file: job.validationFileId,
    suffix: job.suffix,
    metadata: job.metadata,
    integrations: job.integrations,
    ...rest,
    seed: seedOf(job, changes),
    method: {
      type: job.method,
      ...method,
      [job.method]: {
        hyperparameters: {
          ...job.hyperparameters,
          ...hyperparameters,
          ...(method && hyperparametersOf(method)),
        },
      },
    },
    training: over(trainingOf(job, changes), training),
    sweep: sweepOf(job, changes),
    ...startOf(job, changes),
  };
}

/** One that is given by either name is the one that counts. */
function seedOf(job: Job, { seed, training }: CloneJobBody): number | null {
  if (seed !== undefined) return seed;
  return isObject(training) && training.seed !== undefined ? null : job.seed;
}

const sweepOf = (job: Pick<Job, 'sweep'>, { sweep }: CloneJobBody): unknown =>
  sweep === undefined ? (job.sweep?.grid ?? null) : sweep;

/**
 * Without its seed, which would contradict a new one, and without a learning rate where several are to be tried. A plain job like a
 * finished sweep has its winner's.
 */
function trainingOf({ training, ...job }: Job, changes: CloneJobBody): object {
  const { seed: _, learning_rate: rate, ...others } = training;
  const seed = changes.seed === undefined && training.seed !== undefined ? { seed: training.seed } : {};
  const sweep = sweepOf(job, changes);
  if (isObject(sweep) && sweep.learning_rate !== undefined) return { ...others, ...seed };
  const isWinners =
    !isObject(sweep) && job.sweep?.grid.learning_rate !== undefined && job.state === 'succeeded';
  const chosen = isWinners ? job.resolvedTraining?.learning_rate : rate;
  return { ...others, ...seed, ...(chosen !== undefined && { learning_rate: chosen }) };
}

/** What training goes on from, and by which configuration: an adapter brings its own along. */
function startOf(job: Job, changes: CloneJobBody): Partial<CreateJobBody> {
  const { model, start_from: startFrom, peft } = changes;
  const isTuned = model?.startsWith('ft:') ?? false;
  const kept = isTuned || startFrom !== undefined ? null : job.startFromModel;
  if (isTuned || startFrom || kept !== null)
    return { start_from: startFrom ?? kept, ...(peft !== undefined && { peft }) };
  const before = besideSweep(job, changes);
  const isOther = isObject(peft) && peft.peft_type !== undefined && peft.peft_type !== before?.peft_type;
  const wanted = isOther || before === null ? peft : over(before, peft);
  return { start_from: null, ...(wanted !== undefined && { peft: wanted }) };
}

/** The configuration that was asked for, without the rank where several are to be tried. Null: none was. */
function besideSweep(job: Job, changes: CloneJobBody): Record<string, unknown> | null {
  const sweep = sweepOf(job, changes);
  const asked: unknown = isObject(sweep) && job.sweep ? job.sweep.peft : job.peft;
  if (!isObject(asked)) return null;
  const { r: _, ...others } = asked;
  return isObject(sweep) && sweep.r !== undefined ? others : asked;
}

/** Options given over those before. What is no object is for the parser to refuse. */
function over(before: object, given: unknown): unknown {
  if (given === undefined) return before;
  return isObject(given) ? { ...before, ...given } : given;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
