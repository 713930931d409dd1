import type { PeftConfig } from '@graft/peft-core/config';
import { json, type Transaction } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';
import { newId } from '../ids.ts';
import type { StoredArtifact } from '../storage/artifact-store.ts';
import { type AdapterVersion, versionOf, withAdapter } from './adapter.ts';

/**
 * A finished adapter, trained here or elsewhere. `artifact` is a result of `ArtifactStore.publish` less than half a day old: the files are
 * already stored under this name.
 */
export interface CreatedVersion extends StoredArtifact {
  /** Digests of base, data and code; seed; resolved configuration. */
  lineage: Record<string, unknown>;
  metrics: Record<string, unknown> | null;
  /** Version from which the training continued. */
  parentId?: string | null;
  /** Versions that it was combined from. */
  sourceIds?: string[];
  note?: string | null;
}

export interface NewVersion extends CreatedVersion {
  id?: string;
  jobId: string | null;
  /** API key to which the bytes are attributed. */
  keyId: string | null;
  modelName: string;
  peft: PeftConfig;
  /** System message that every training example began with. */
  systemPrompt?: string | null;
}

/**
 * Returns the adapter of this name, creating it if needed. An update that changes nothing locks the adapter until the transaction ends, so
 * versions are numbered one after another without gaps.
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
 * Inserts the next version of an adapter; the first version creates the adapter. Locks the adapter until the transaction ends; the caller
 * must not hold locks on it.
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
  const { files, peft, lineage, metrics, ...columns } = version;
  const row = await tx.adapterVersion.create({
    data: {
      id: newId('version'),
      ...columns,
      teamId,
      adapterId: adapter.id,
      number: 1 + (newest._max.number ?? 0),
      files: json(files),
      peft: json(peft),
      lineage: json(lineage),
      metrics: metrics === null ? Prisma.DbNull : json(metrics),
    },
    ...withAdapter,
  });
  return versionOf(row);
}
