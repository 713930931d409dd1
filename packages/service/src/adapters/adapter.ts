import type { PeftConfig } from '@graft/peft-core/config';
import type { Prisma } from '../generated/client.ts';
import { type ModelLimit, namedWithin } from '../keys/model-limit.ts';
import type { AdapterFile, StoredArtifact } from '../storage/artifact-store.ts';

export interface Adapter {
  id: string;
  teamId: string;
  name: string;
  /** Catalogue id. */
  baseModel: string;
  latestVersion: number | null;
  note: string | null;
  /** Sorted by name; at most `maxTags`. */
  tags: AdapterTag[];
  createdAt: Date;
}

export interface AdapterTag {
  id: string;
  adapterId: string;
  /** The last part of `modelName`. */
  name: string;
  /** `ft:{base}:{team}:{adapter}:{name}`: requests may use it as `model`. */
  modelName: string;
  version: number;
  createdAt: Date;
  movedAt: Date;
}

export interface AdapterVersion extends StoredArtifact {
  id: string;
  teamId: string;
  adapterId: string;
  adapterName: string;
  /** Catalogue id. */
  baseModel: string;
  /** 1, 2, … within the adapter. */
  number: number;
  /** Job that trained the version; null if it was trained elsewhere and uploaded. */
  jobId: string | null;
  /** Version from which the training continued; it may have been deleted since. */
  parentId: string | null;
  /** Ids of the versions that it was combined from, of which some may have been deleted since; empty if it was trained. */
  sourceIds: string[];
  /** `ft:{base}:{team}:{suffix}:{id}`: requests use it as `model`. */
  modelName: string;
  peft: PeftConfig;
  /** System message that every training example began with; null if the examples have none, differ, or were not checked. */
  systemPrompt: string | null;
  lineage: Record<string, unknown>;
  metrics: Record<string, unknown> | null;
  note: string | null;
  tags: string[];
  /** Null unless the version was deleted. */
  deletedAt: Date | null;
  /** When the stored files were last verified; null if never. */
  verifiedAt: Date | null;
  /** When the stored files were found not to match `digest`; null if no damage is known. */
  corruptAt: Date | null;
  createdAt: Date;
}

/** Maximum number of tags of an adapter, small enough that a version is always read with all its tags. */
export const maxTags = 100;

/** Prisma arguments for a row that `versionOf` accepts: the version with its tags and the columns of its adapter that it needs. */
export const withAdapter = {
  include: {
    adapter: { select: { name: true, baseModel: true } },
    tags: { select: { name: true }, orderBy: { name: 'asc' }, take: maxTags },
  },
} as const;

/** Prisma condition for tags that are within the limit by their own name or by the name of the version that they point at. */
export function tagsWithin(models: ModelLimit): Prisma.AdapterTagWhereInput {
  return models === null ? {} : { OR: [namedWithin(models), { version: namedWithin(models) }] };
}

/** Prisma arguments for a row that `tagOf` accepts. */
export const tagVersion = { include: { version: { select: { number: true } } } } as const;

export function tagOf({ version, ...tag }: Prisma.AdapterTagGetPayload<typeof tagVersion>): AdapterTag {
  const { id, adapterId, name, modelName, createdAt, movedAt } = tag;
  return { id, adapterId, name, modelName, version: version.number, createdAt, movedAt };
}

export function versionOf(row: Prisma.AdapterVersionGetPayload<typeof withAdapter>): AdapterVersion {
  const { adapter, tags, keyId: _, bytes, files, peft, lineage, metrics, ...columns } = row;
  return {
    ...columns,
    adapterName: adapter.name,
    baseModel: adapter.baseModel,
    tags: tags.map(({ name }) => name),
    bytes: Number(bytes),
    // Publishing writes these JSON columns with these types.
    files: files as unknown as AdapterFile[],
    peft: peft as unknown as PeftConfig,
    lineage: lineage as AdapterVersion['lineage'],
    metrics: metrics as AdapterVersion['metrics'],
  };
}
