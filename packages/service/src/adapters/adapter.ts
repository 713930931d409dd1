import type { PeftConfig } from '@graft/peft-core/config';
import type { Prisma } from '../generated/client.ts';
import { type ModelLimit, namedWithin } from '../keys/model-limit.ts';
import type { AdapterFile } from '../storage/artifact-store.ts';

export interface Adapter {
  id: string;
  teamId: string;
  name: string;
  /** Catalogue id. */
  baseModel: string;
  /** Number of the newest version. */
  latestVersion: number | null;
  /** What people write of it. */
  note: string | null;
  /** By name: `mostTags` at most. */
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
  /** Number of the version that it points at. */
  version: number;
  createdAt: Date;
  movedAt: Date;
}

export interface AdapterVersion {
  id: string;
  teamId: string;
  adapterId: string;
  adapterName: string;
  /** Catalogue id. */
  baseModel: string;
  /** 1, 2, … within the adapter. */
  number: number;
  /** Null: it was made elsewhere and uploaded. */
  jobId: string | null;
  /** The version that its training went on from; it may be gone by now. */
  parentId: string | null;
  /** `ft:{base}:{team}:{suffix}:{id}`, what requests name as `model`. */
  modelName: string;
  /** Digest of the files' digests. */
  digest: string;
  /** Name in the artifact store. */
  artifact: string;
  bytes: number;
  files: AdapterFile[];
  peft: PeftConfig;
  /** The system message that every example of its training began with; null: none did, they differ, or it is not known. */
  systemPrompt: string | null;
  lineage: Record<string, unknown>;
  metrics: Record<string, unknown> | null;
  /** What people write of it. */
  note: string | null;
  /** Names of the tags that point at it. */
  tags: string[];
  /** Null: it is there for all to use. */
  deletedAt: Date | null;
  /** When its stored files were last read through; null: never. */
  verifiedAt: Date | null;
  /** When they were found not to have this digest; null: they have it, as far as anybody knows. */
  corruptAt: Date | null;
  createdAt: Date;
}

/** Tags of one adapter: more are refused, so that a version is always read with all of its own. */
export const mostTags = 100;

/** What `versionOf` needs of Prisma: the version's row with its tags and those columns of its adapter that it shows. */
export const withAdapter = {
  include: {
    adapter: { select: { name: true, baseModel: true } },
    tags: { select: { name: true }, orderBy: { name: 'asc' }, take: mostTags },
  },
} as const;

/** Prisma's condition for tags that are within the limit by their own name, or by that of the version that they point at. */
export function tagsWithin(models: ModelLimit): Prisma.AdapterTagWhereInput {
  return models === null ? {} : { OR: [namedWithin(models), { version: namedWithin(models) }] };
}

/** What `tagOf` needs of Prisma. */
export const ofTag = { include: { version: { select: { number: true } } } } as const;

export function tagOf({ version, ...tag }: Prisma.AdapterTagGetPayload<typeof ofTag>): AdapterTag {
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
    // In the types that publishing writes.
    files: files as unknown as AdapterFile[],
    peft: peft as unknown as PeftConfig,
    lineage: lineage as AdapterVersion['lineage'],
    metrics: metrics as AdapterVersion['metrics'],
  };
}
