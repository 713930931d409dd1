import type { PeftConfig } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { newId } from '../ids.ts';
import type { StoredArtifact } from '../storage/artifact-store.ts';
import { readQuota } from '../teams/team-quota.ts';
import type { IncomingBytes } from '../teams/within-quota.ts';
import { checkStorageQuota, inQuota, limitsStorage } from '../teams/within-quota.ts';
import type { AdapterVersion } from './adapter.ts';
import { insertVersion, type NewVersion } from './insert-version.ts';

/** Checked files of an adapter that was not trained by a job. */
interface FinishedAdapter extends StoredArtifact {
  name: string;
  /** Catalogue id, the digest of the weights against which the files were checked, and the class that loads it (`autoClass`). */
  base: { id: string; digest: string; transformers_class?: string };
  peft: PeftConfig;
  note: string | null;
}

interface UploadedAdapter extends FinishedAdapter {
  /** Version from which the training continued elsewhere. */
  parentId: string | null;
}

interface CombinedAdapter extends FinishedAdapter {
  /** The versions that it was combined from, in this order. */
  sources: readonly { version: Pick<AdapterVersion, 'id' | 'modelName' | 'digest'>; weight: number }[];
  /** `combination_type` and its options. */
  combination: Record<string, unknown>;
  systemPrompt: string | null;
}

/**
 * Publishes checked files as the next version of the adapter of this name, with its audit row, in one transaction. `incoming` holds the
 * bytes as counted so far. Throws QuotaExceeded.
 */
export async function publishUpload(
  db: Database,
  teamId: string,
  { parentId, ...adapter }: UploadedAdapter,
  by: Actor,
  incoming?: Pick<IncomingBytes, 'settle'>,
): Promise<AdapterVersion> {
  const { base, peft } = adapter;
  const lineage = { source: 'upload', base_model: base, peft };
  return await publishFinished(
    db,
    teamId,
    { adapter, columns: { parentId, lineage }, action: 'adapter.upload' },
    by,
    incoming,
  );
}

/** As `publishUpload`, for the files of a combination of versions. */
export async function publishCombination(
  db: Database,
  teamId: string,
  { sources, combination, systemPrompt, ...adapter }: CombinedAdapter,
  by: Actor,
  incoming?: Pick<IncomingBytes, 'settle'>,
): Promise<AdapterVersion> {
  const { base, peft } = adapter;
  const listed = sources.map(({ version: { id, modelName: model, digest }, weight }) => ({
    id,
    model,
    digest,
    weight,
  }));
  const lineage = { source: 'combination', base_model: base, peft, combination, sources: listed };
  const columns = { sourceIds: listed.map(({ id }) => id), systemPrompt, lineage };
  return await publishFinished(db, teamId, { adapter, columns, action: 'adapter.combine' }, by, incoming);
}

async function publishFinished(
  db: Database,
  teamId: string,
  {
    adapter,
    columns,
    action,
  }: {
    adapter: FinishedAdapter;
    columns: Pick<NewVersion, 'parentId' | 'sourceIds' | 'systemPrompt' | 'lineage'>;
    action: string;
  },
  by: Actor,
  incoming?: Pick<IncomingBytes, 'settle'>,
): Promise<AdapterVersion> {
  const { name, base, ...stored } = adapter;
  const quota = await readQuota(db, teamId);
  return await inQuota(db, teamId, limitsStorage(quota, 'adapters'), async (tx) => {
    await incoming?.settle(tx);
    if (limitsStorage(quota, 'adapters'))
      await checkStorageQuota(tx, teamId, quota, { bytes: stored.bytes, kind: 'adapters' });
    const team = await tx.team.findFirstOrThrow({ where: { id: teamId } });
    const id = newId('version');
    const version = await insertVersion(
      tx,
      { teamId, baseModel: base.id, name },
      {
        ...stored,
        ...columns,
        id,
        jobId: null,
        keyId: by.keyId,
        modelName: `ft:${base.id}:${team.name}:${name}:${id.slice(-8)}`,
        metrics: null,
      },
    );
    const { modelName, digest, bytes, sourceIds } = version;
    const detail = { model: modelName, digest, bytes, ...(sourceIds.length > 0 && { sources: sourceIds }) };
    await insertAudit(tx, teamId, by, { action, target: id, detail });
    return version;
  });
}
