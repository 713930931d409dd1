import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import type { StoredArtifact } from '../storage/artifact-store.ts';
import { readQuota } from '../teams/team-quota.ts';
import type { IncomingBytes } from '../teams/within-quota.ts';
import { admitBytes, inQuota } from '../teams/within-quota.ts';
import { type AdapterVersion, versionOf, withAdapter } from './adapter.ts';
import {
  type CheckpointAdapter,
  checkpointAdapterOf,
  liveCheckpoints,
  withJob,
} from './checkpoint-adapter.ts';
import { insertVersion, lockAdapter } from './insert-version.ts';

/** The checkpoint behind a model name `…:ckpt-step-…`. Null: no such model in this team. */
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
 * The adapter of a job's checkpoint, by its id or that of what training could go on from at the same step. Null: no such
 * checkpoint in this team, or none whose adapter is kept.
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

/** Whether the job has a checkpoint of this id, kept or not. */
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

/** Removes the adapter of a checkpoint for good; its object is collected. False: it was gone. */
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

/** The name that a version has which was made of a checkpoint: one for each name of an adapter. */
async function promotedName(
  { db }: Pick<Database, 'db'>,
  { teamId, baseModel, id }: CheckpointAdapter,
  name: string,
): Promise<string> {
  const team = await db.team.findFirstOrThrow({ where: { id: teamId }, select: { name: true } });
  return `ft:${baseModel}:${team.name}:${name}:${id.slice(-8)}`;
}

/**
 * The version that the checkpoint was made before, under this name of an adapter; null: none. Throws GraftError
 * `checkpoint_promoted` for one that was deleted and can be restored.
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
 * Makes a checkpoint the next version of an adapter of this name. `stored` is a copy of its files with a name of its own: the
 * checkpoint's object goes with the checkpoint. Promoted twice it is the same version; then the copy is not needed. `incoming`: the
 * copy's bytes as they were counted until now. Throws QuotaExceeded.
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
  return await inQuota(db, teamId, (quota?.storedBytes ?? null) !== null, async (tx) => {
    // Two at once make one version.
    await lockAdapter(tx, { teamId, baseModel, name });
    const before = await tx.adapterVersion.findFirst({ where: { teamId, modelName }, ...withAdapter });
    if (before) return versionOf(before);
    await incoming?.settle(tx);
    if (quota) await admitBytes(tx, teamId, quota, stored.bytes);
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
