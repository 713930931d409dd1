import type { Job } from '@graft/service';
import type { Static } from 'typebox';
import type { CloneJobSchema } from '../schemas/jobs/clone-job.ts';
import type { CreateJobBody } from './check-new-job.ts';

type Changes = Static<typeof CloneJobSchema>;

/**
 * The request that makes `job` again, with `changes` over it: with the same seed unless one is given (null: a new one), and with the
 * numbers that were left to Graft left to it again. Of `peft`, `training` and the hyperparameters those options change that are
 * given; a `peft` of another method replaces it.
 */
export function cloneRequest(job: Job, changes: Changes): CreateJobBody {
  const { hyperparameters, method, peft, training, ...rest } = changes;
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
      type: 'supervised',
      ...method,
      supervised: {
        hyperparameters: {
          ...job.hyperparameters,
          ...hyperparameters,
          ...method?.supervised?.hyperparameters,
        },
      },
    },
    training: over(trainingOf(job, changes), training),
    ...startOf(job, changes),
  };
}

/** One that is given by either name is the one that counts. */
function seedOf(job: Job, { seed, training }: Changes): number | null {
  if (seed !== undefined) return seed;
  return isObject(training) && training.seed !== undefined ? null : job.seed;
}

/** Without its seed, which would contradict a new one. */
function trainingOf({ training }: Job, { seed }: Changes): object {
  if (seed === undefined) return training;
  const { seed: _, ...others } = training;
  return others;
}

/** What training goes on from, and by which configuration: an adapter brings its own along. */
function startOf(job: Job, { model, start_from: startFrom, peft }: Changes): Partial<CreateJobBody> {
  const isTuned = model?.startsWith('ft:') ?? false;
  const kept = isTuned || startFrom !== undefined ? null : job.startFromModel;
  if (isTuned || startFrom || kept !== null)
    return { start_from: startFrom ?? kept, ...(peft !== undefined && { peft }) };
  const isOther = isObject(peft) && peft.peft_type !== undefined && peft.peft_type !== job.peft.peft_type;
  return { start_from: null, peft: isOther ? peft : over(job.peft, peft) };
}

/** Options given over those before. What is no object is for the parser to refuse. */
function over(before: object, given: unknown): unknown {
  if (given === undefined) return before;
  return isObject(given) ? { ...before, ...given } : given;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
