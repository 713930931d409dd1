import type { PeftConfig } from '@graft/peft-core/config';
import { json, type Transaction } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';
import { newId } from '../ids.ts';
import type { StoredArtifact } from '../storage/artifact-store.ts';
import { type AdapterVersion, versionOf, withAdapter } from './adapter.ts';

/**
 * What was made, wherever that was. `artifact` is as `ArtifactStore.publish` answered, less than half a day ago: the files are
 * already in place under this name.
 */
export interface MadeVersion extends StoredArtifact {
  /** Digests of base, data and code; seed; resolved configuration. */
  lineage: Record<string, unknown>;
  metrics: Record<string, unknown> | null;
  /** The version that its training went on from. */
  parentId?: string | null;
  note?: string | null;
}

interface NewVersion extends MadeVersion {
  id?: string;
  jobId: string | null;
  /** Whose bytes they are. */
  keyId: string | null;
  modelName: string;
  peft: PeftConfig;
  /** The system message that every example of its training began with. */
  systemPrompt?: string | null;
}

/**
 * The adapter of this name, made if it is not there, and locked until the transaction ends by an update that changes nothing: versions
 * are numbered one after another, without gaps.
 */
export async function lockAdapter(
  tx: Transaction,
  of: { teamId: string; baseModel: string; name: string },
): Promise<{ id: string }> {
  return await tx.adapter.upsert({
    where: { teamId_baseModel_name: of },
    create: { id: newId('adapter'), ...of },
    update: { name: of.name },
  });
}

/**
 * The next version of an adapter, which is made with its first. Who calls has locked nothing of it: the adapter is locked here, and
 * stays so until the transaction ends.
 */
export async function insertVersion(
  tx: Transaction,
  of: { teamId: string; baseModel: string; name: string },
  version: NewVersion,
): Promise<AdapterVersion> {
  const { teamId } = of;
  const adapter = await lockAdapter(tx, of);
  const newest = await tx.adapterVersion.aggregate({
    where: { teamId, adapterId: adapter.id },
    _max: { number: true },
  });
  const {
    id,
    jobId,
    keyId,
    parentId,
    note,
    modelName,
    digest,
    artifact,
    bytes,
    files,
    peft,
    systemPrompt,
    lineage,
    metrics,
  } = version;
  const row = await tx.adapterVersion.create({
    data: {
      id: id ?? newId('version'),
      teamId,
      adapterId: adapter.id,
      number: 1 + (newest._max.number ?? 0),
      jobId,
      keyId,
      parentId: parentId ?? null,
      note: note ?? null,
      modelName,
      digest,
      artifact,
      bytes,
      files: json(files),
      peft: json(peft),
      systemPrompt: systemPrompt ?? null,
      lineage: json(lineage),
      metrics: metrics === null ? Prisma.DbNull : json(metrics),
    },
    ...withAdapter,
  });
  return versionOf(row);
}
