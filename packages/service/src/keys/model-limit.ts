/**
 * What a key limited to some models may touch. A version, a tag or a checkpoint is a model by its own name. A job belongs to the model
 * that it starts from, and to the one that it makes. Null is no limit.
 */
import type { Prisma } from '../generated/client.ts';

export type ModelLimit = readonly string[] | null;

/** An entry is a model's id or name, or the beginning of some, with a `*` behind. */
export function allowsModel(limit: ModelLimit, model: string): boolean {
  return limit === null || limit.some((entry) => matches(entry, model));
}

export function matches(entry: string, model: string): boolean {
  return entry.endsWith('*') ? model.startsWith(entry.slice(0, -1)) : entry === model;
}

/** Of a job, what its limit is checked by. */
export interface ModelsOfJob {
  /** Catalogue id of the base model. */
  model: string;
  startFromModel: string | null;
  /** Null until it has succeeded. */
  fineTunedModel: string | null;
}

export function allowsJob(
  limit: ModelLimit,
  { model, startFromModel, fineTunedModel }: ModelsOfJob,
): boolean {
  return (
    allowsModel(limit, startFromModel ?? model) ||
    (fineTunedModel !== null && allowsModel(limit, fineTunedModel))
  );
}

/** Whether a key may make versions of an adapter: it may train the base model, or all of the adapter's models are within its limit. */
export function allowsNewVersion(
  limit: ModelLimit,
  { baseModel, teamName, name }: { baseModel: string; teamName: string; name: string },
): boolean {
  return allowsModel(limit, baseModel) || allowsModel(limit, `ft:${baseModel}:${teamName}:${name}:`);
}

type NameFilter = string | { startsWith: string } | { in: [] };

/** As Prisma's conditions on one column. A LIKE takes `%`, `_` and `\` for something else, unless they are escaped. */
function namesIn(limit: readonly string[]): NameFilter[] {
  // Prisma leaves an empty OR out, which would allow everything.
  if (limit.length === 0) return [{ in: [] }];
  return limit.map((entry) =>
    entry.endsWith('*') ? { startsWith: entry.slice(0, -1).replace(/[\\%_]/g, '\\$&') } : entry,
  );
}

/** Prisma's condition for rows whose model name is within the limit: versions, tags, checkpoints. */
export function namedWithin(limit: ModelLimit): { OR?: { modelName: NameFilter }[] } {
  return limit === null ? {} : { OR: namesIn(limit).map((modelName) => ({ modelName })) };
}

/** The same of jobs: `allowsJob` as a condition. */
export function jobsWithin(limit: ModelLimit): Prisma.JobWhereInput {
  if (limit === null) return {};
  return {
    OR: namesIn(limit).flatMap((name) => [
      { startFromModel: name },
      { startFromModel: null, model: name },
      { fineTunedModel: name },
    ]),
  };
}
