import type { ModelAlias } from '@graft/service/adapters';
import {
  allowsJob,
  allowsModel,
  allowsNewVersion,
  type Identity,
  type ModelLimit,
} from '@graft/service/keys';
import { ApiError } from '../api-error.ts';

/** An object that a request uses, and whether a model limit allows it. */
export interface Touched {
  /** Request parameter that names the object. */
  param: string;
  /** Description for the error message. An object found by id is not described by its model name, which the caller may not know. */
  what: string;
  isWithin(limit: ModelLimit): boolean;
}

/** A model that the request names directly, whether or not it exists. */
export function touchedModel(name: string, param = 'model'): Touched {
  return { param, what: `'${name}'`, isWithin: (limit) => allowsModel(limit, name) };
}

/** An adapter version, or a checkpoint's adapter, that was found by an id. */
export function touchedVersion({ modelName }: { modelName: string }, what: string, param: string): Touched {
  return { param, what, isWithin: (limit) => allowsModel(limit, modelName) };
}

export function touchedJob(
  job: { id: string } & Parameters<typeof allowsJob>[1],
  param = 'fine_tuning_job_id',
): Touched {
  return { param, what: `the model of ${job.id}`, isWithin: (limit) => allowsJob(limit, job) };
}

/** The adapter to which a job, an upload or a promoted checkpoint adds a version. */
export function touchedNewVersion(of: Parameters<typeof allowsNewVersion>[1], param: string): Touched {
  return {
    param,
    what: `a new version of the adapter '${of.name}' of '${of.baseModel}'`,
    isWithin: (limit) => allowsNewVersion(limit, of),
  };
}

/** Throws `model_not_allowed` if the caller's key is limited to other models. `alias`: as which the request names one of them. */
export function checkModels(
  { models: limit }: Pick<Identity, 'models'>,
  touched: readonly Touched[],
  alias: ModelAlias | null = null,
): void {
  const refused = touched.find((one) => !one.isWithin(limit));
  if (!refused) return;
  // The caller may not know at which model the alias points.
  const what = alias && refused.what === `'${alias.target}'` ? `'${alias.name}'` : refused.what;
  throw notAllowed(limit, `${what} is not within that`, refused.param);
}

export function notAllowed(limit: ModelLimit, why: string, param: string | null): ApiError {
  return new ApiError(
    'model_not_allowed',
    `This key is limited to ${limit?.join(', ') || 'no model'}, and ${why}. Create a key that allows it with \`graft team keys create --models\`.`,
    { param },
  );
}
