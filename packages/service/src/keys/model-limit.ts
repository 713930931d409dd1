/**
 * Decides what a key that is limited to some models may access. A version, a tag or a checkpoint is a model with its own name. A job
 * belongs to the model that it starts from and to the one that it produces. Null: no limit.
 */
import type { Prisma } from '../generated/client.ts';

export type ModelLimit = readonly string[] | null;

/** An entry is a model's id or name, or a prefix followed by `*`. */
export function allowsModel(limit: ModelLimit, model: string): boolean {
  return limit === null || limit.some((entry) => matches(entry, model));
}

export function matches(entry: string, model: string): boolean {
  return entry.endsWith('*') ? model.startsWith(entry.slice(0, -1)) : entry === model;
}

export interface ModelsOfJob {
  /** Catalogue id of the base model. */
  model: string;
  startFromModel: string | null;
  /** Null until the job has succeeded. */
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

/**
 * Returns whether a key may create versions of an adapter: it may train the base model, or all models of the adapter are within its limit.
 */
export function allowsNewVersion(
  limit: ModelLimit,
  { baseModel, teamName, name }: { baseModel: string; teamName: string; name: string },
): boolean {
  return allowsModel(limit, baseModel) || allowsModel(limit, `ft:${baseModel}:${teamName}:${name}:`);
}

type NameFilter = string | { startsWith: string } | { in: [] };

/** Converts a limit to Prisma conditions on one column. LIKE wildcards (`%`, `_`, `\`) are escaped. */
function namesIn(limit: readonly string[]): NameFilter[] {
  // Prisma ignores an empty OR, which would allow everything.
  if (limit.length === 0) return [{ in: [] }];
  return limit.map((entry) =>
    entry.endsWith('*') ? { startsWith: entry.slice(0, -1).replace(/[\\%_]/g, '\\$&') } : entry,
  );
}

/** Prisma condition for versions, tags and checkpoints whose model name is within the limit. */
export function namedWithin(limit: ModelLimit): { OR?: { modelName: NameFilter }[] } {
  return limit === null ? {} : { OR: namesIn(limit).map((modelName) => ({ modelName })) };
}

/** Prisma condition equivalent to `allowsJob`. */
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
