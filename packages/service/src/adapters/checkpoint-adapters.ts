import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import type { StoredArtifact } from '../storage/artifact-store.ts';
import { readQuota } from '../teams/team-quota.ts';
import type { IncomingBytes } from '../teams/within-quota.ts';
import { checkStorageQuota, inQuota, limitsStorage } from '../teams/within-quota.ts';
import { type AdapterVersion, versionOf, withAdapter } from './adapter.ts';
import {
  type CheckpointAdapter,
  checkpointAdapterOf,
  liveCheckpoints,
  withJob,
} from './checkpoint-adapter.ts';
import { insertVersion, lockAdapter } from './insert-version.ts';

/** Finds the checkpoint behind a model name `…:ckpt-step-…`. Null: the team has no such model. */
export async function findCheckpointModel(
  { db }: Database,
  teamId: string,
  modelName: string,
): Promise<CheckpointAdapter | null> {
  const row = await db.checkpointAdapter.findFirst({
    where: { teamId, modelName, ...liveCheckpoints },
    ...withJob,
  });
  return row && checkpointAdapterOf(row);
}

/**
 * Returns the adapter of a job's checkpoint, by the id of that adapter or of the resumable checkpoint of the same step. Null: the team has
 * no such checkpoint, or its adapter was not kept.
 */
export async function getCheckpointAdapter(
  { db }: Database,
  teamId: string,
  { jobId, id }: { jobId: string; id: string },
): Promise<CheckpointAdapter | null> {
  const same = await db.checkpoint.findFirst({ where: { teamId, jobId, id }, select: { step: true } });
  const row = await db.checkpointAdapter.findFirst({
    where: { teamId, jobId, ...(same ? { step: same.step } : { id }), ...liveCheckpoints },
    ...withJob,
  });
  return row && checkpointAdapterOf(row);
}

/** Returns whether the job has a checkpoint of this id, with or without a kept adapter. */
export async function hasCheckpoint(
  { db }: Database,
  teamId: string,
  { jobId, id }: { jobId: string; id: string },
): Promise<boolean> {
  const where = { teamId, jobId, id };
  return (
    (await db.checkpoint.count({ where })) > 0 ||
    (await db.checkpointAdapter.count({ where: { ...where, ...liveCheckpoints } })) > 0
  );
}

/** Deletes the adapter of a checkpoint permanently; its object is collected later. Returns false if it does not exist. */
export async function deleteCheckpointAdapter(
  db: Database,
  { teamId, id, jobId, step }: Pick<CheckpointAdapter, 'teamId' | 'id' | 'jobId' | 'step'>,
  by: Actor,
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { count } = await tx.checkpointAdapter.deleteMany({ where: { teamId, id } });
    if (count === 0) return false;
    const detail = { job: jobId, step };
    await insertAudit(tx, teamId, by, { action: 'checkpoint.delete', target: id, detail });
    return true;
  });
}

/** Returns the model name of the version that a checkpoint is promoted to: one for each adapter name. */
async function promotedName(
  { db }: Pick<Database, 'db'>,
  { teamId, baseModel, id }: CheckpointAdapter,
  name: string,
): Promise<string> {
  const team = await db.team.findFirstOrThrow({ where: { id: teamId }, select: { name: true } });
  return `ft:${baseModel}:${team.name}:${name}:${id.slice(-8)}`;
}

/**
 * Returns the version to which the checkpoint was promoted before under this adapter name; null if there is none. Throws GraftError
 * `checkpoint_promoted` if that version was deleted and can be restored.
 */
export async function findPromoted(
  db: Database,
  checkpoint: CheckpointAdapter,
  name: string,
): Promise<AdapterVersion | null> {
  const { teamId } = checkpoint;
  const modelName = await promotedName(db, checkpoint, name);
  const row = await db.db.adapterVersion.findFirst({ where: { teamId, modelName }, ...withAdapter });
  if (!row) return null;
  if (row.deletedAt === null) return versionOf(row);
  throw new GraftError(
    'checkpoint_promoted',
    `The checkpoint is ${modelName}, version ${row.number} of ${row.adapterId}, which was deleted: restore that.`,
    { param: 'checkpoint_id' },
  );
}

/**
 * Promotes a checkpoint to the next version of the adapter of this name. `stored` is a copy of its files under a separate name, because
 * the checkpoint's object is deleted with the checkpoint. Promoting twice returns the same version and does not use the second copy.
 * `incoming` holds the bytes of the copy as counted so far. Throws QuotaExceeded.
 */
export async function promoteCheckpoint(
  db: Database,
  checkpoint: CheckpointAdapter,
  { name, note, stored }: { name: string; note: string | null; stored: StoredArtifact },
  by: Actor,
  incoming?: Pick<IncomingBytes, 'settle'>,
): Promise<AdapterVersion> {
  const { teamId, id, jobId, step, baseModel, peft, systemPrompt, lineage, metrics } = checkpoint;
  const modelName = await promotedName(db, checkpoint, name);
  const quota = await readQuota(db, teamId);
  return await inQuota(db, teamId, limitsStorage(quota, 'adapters'), async (tx) => {
    // Two concurrent promotions create one version.
    await lockAdapter(tx, { teamId, baseModel, name });
    const before = await tx.adapterVersion.findFirst({ where: { teamId, modelName }, ...withAdapter });
    if (before) return versionOf(before);
    await incoming?.settle(tx);
    if (limitsStorage(quota, 'adapters'))
      await checkStorageQuota(tx, teamId, quota, { bytes: stored.bytes, kind: 'adapters' });
    const version = await insertVersion(
      tx,
      { teamId, baseModel, name },
      {
        ...stored,
        jobId: null,
        keyId: by.keyId,
        note,
        modelName,
        peft,
        systemPrompt,
        lineage: { ...lineage, checkpoint: { id, step } },
        metrics: {
          steps: step,
          final_loss: metrics.trainLoss ?? null,
          validation_loss: metrics.validationLoss ?? null,
          validation: metrics.validation ?? {},
        },
      },
    );
    const detail = { model: modelName, job: jobId, step };
    await insertAudit(tx, teamId, by, { action: 'checkpoint.promote', target: id, detail });
    return version;
  });
}
