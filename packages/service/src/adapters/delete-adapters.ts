import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import type { ServiceEnv } from '../environment/env.ts';
import type { Prisma } from '../generated/client.ts';
import { type ModelLimit, namedWithin } from '../keys/model-limit.ts';
import { type AdapterVersion, versionOf, withAdapter } from './adapter.ts';
import { withAdapterLocked } from './adapter-tags.ts';

type Retention = Pick<ServiceEnv, 'adapterRetentionDays'>;

/** Returns the time before which a deletion can no longer be undone. */
function retentionStart({ adapterRetentionDays }: Retention, now = new Date()): Date {
  return new Date(now.getTime() - adapterRetentionDays * 24 * 3600 * 1000);
}

/** Returns the time until which a deleted version can be restored. */
export function restorableUntil({ adapterRetentionDays }: Retention, deletedAt: Date): Date {
  return new Date(deletedAt.getTime() + adapterRetentionDays * 24 * 3600 * 1000);
}

/**
 * Hides one version of an adapter, or with `number` null all versions within `models`, from completions, lists and downloads. A version can
 * be restored until the collector removes it. Returns the number of hidden versions; 0 if the team has no such version. Throws GraftError
 * `adapter_tagged` while a tag points at one, and `adapter_in_use` while an unfinished job starts from one.
 */
export async function deleteVersions(
  db: Database,
  teamId: string,
  { adapterId, number, models = null }: { adapterId: string; number: number | null; models?: ModelLimit },
  by: Actor,
): Promise<number> {
  const hidden = await withAdapterLocked(db, teamId, adapterId, async (tx) => {
    const where = {
      teamId,
      adapterId,
      deletedAt: null,
      ...(number === null ? namedWithin(models) : { number }),
    };
    await refuseTagged(tx, teamId, where);
    const { count } = await tx.adapterVersion.updateMany({ where, data: { deletedAt: new Date() } });
    if (count === 0) return 0;
    // Checked after the update: a job that is being created with a version holds a lock, so this waits until that job is visible.
    await refuseInUse(tx, teamId, { adapterId, number });
    const detail = number === null ? { versions: count } : { version: number };
    await insertAudit(tx, teamId, by, { action: 'adapter.delete', target: adapterId, detail });
    return count;
  });
  return hidden ?? 0;
}

async function refuseTagged(tx: Transaction, teamId: string, where: object): Promise<void> {
  const tag = await tx.adapterTag.findFirst({ where: { teamId, version: where }, orderBy: { name: 'asc' } });
  if (!tag) return;
  throw new GraftError(
    'adapter_tagged',
    `${tag.modelName} points at it: move the tag "${tag.name}" to another version or remove it first.`,
    { param: 'version' },
  );
}

async function refuseInUse(
  tx: Transaction,
  teamId: string,
  { adapterId, number }: { adapterId: string; number: number | null },
): Promise<void> {
  const versions = await tx.adapterVersion.findMany({
    where: { teamId, adapterId, ...(number === null ? {} : { number }) },
    select: { id: true },
  });
  const user = await tx.job.findFirst({
    where: {
      teamId,
      startFromId: { in: versions.map(({ id }) => id) },
      state: { notIn: ['succeeded', 'failed', 'cancelled'] },
    },
    select: { id: true, startFromModel: true },
  });
  if (!user) return;
  throw new GraftError(
    'adapter_in_use',
    `${user.id} starts from ${user.startFromModel}; cancel that job first.`,
    { param: 'version' },
  );
}

/** Deletes the version that has this model name, as `deleteVersions` does. Returns false if the team has no such model. */
export async function deleteFineTunedModel(
  db: Database,
  teamId: string,
  modelName: string,
  by: Actor,
): Promise<boolean> {
  const version = await db.db.adapterVersion.findFirst({
    where: { teamId, modelName, deletedAt: null },
    select: { adapterId: true, number: true },
  });
  return version !== null && (await deleteVersions(db, teamId, version, by)) > 0;
}

/** Restores a deleted version. Null: the team has no such version that was deleted within the retention period. */
export async function restoreVersion(
  db: Database & { env: Retention },
  teamId: string,
  { adapterId, number }: { adapterId: string; number: number },
  by: Actor,
): Promise<AdapterVersion | null> {
  return await withAdapterLocked(db, teamId, adapterId, async (tx) => {
    const deletedAt = { gt: retentionStart(db.env) };
    const { count } = await tx.adapterVersion.updateMany({
      where: { teamId, adapterId, number, deletedAt },
      data: { deletedAt: null },
    });
    if (count === 0) return null;
    await insertAudit(tx, teamId, by, {
      action: 'adapter.restore',
      target: adapterId,
      detail: { version: number },
    });
    const row = await tx.adapterVersion.findFirstOrThrow({
      where: { teamId, adapterId, number },
      ...withAdapter,
    });
    return versionOf(row);
  });
}

const latestDeletion: Prisma.AdapterVersionOrderByWithRelationInput[] = [
  { deletedAt: 'desc' },
  { id: 'desc' },
];

/** Lists the versions that can be restored, the newest deletion first. Throws GraftError `invalid_cursor`. */
export async function listDeletedVersions(
  { db, env }: Database & { env: Retention },
  teamId: string,
  options: PageOptions & { models?: ModelLimit },
): Promise<Page<AdapterVersion>> {
  const { models = null } = options;
  const where = { teamId, deletedAt: { gt: retentionStart(env) }, ...namedWithin(models) };
  return await listRows(
    db.adapterVersion,
    options,
    { where, orderBy: latestDeletion, ...withAdapter },
    versionOf,
  );
}

const batch = 500;

/**
 * Removes the rows of versions whose retention period is over, in all teams, and adapters that have no versions left. Their files are
 * collected later unless another version shares them. Returns the number of removed versions.
 */
export async function purgeDeletedVersions(
  db: Pick<Database, 'db'> & { env: Retention },
  now: Date,
): Promise<number> {
  const expired = { deletedAt: { lte: retentionStart(db.env, now) } };
  let removed = 0;
  for (;;) {
    const due = await db.db.adapterVersion.findMany({
      where: expired,
      distinct: ['adapterId'],
      select: { teamId: true, adapterId: true },
      take: batch,
    });
    for (const { teamId, adapterId } of due) {
      removed += await inTransaction(db, async (tx) => {
        const adapter = { teamId, id: adapterId };
        // After this lock, a version that was being published is visible below.
        await tx.adapter.updateMany({ where: adapter, data: { id: adapterId } });
        // The checkpoints of a job, hidden since its model was deleted, are removed with the model.
        await tx.checkpointAdapter.deleteMany({
          where: { teamId, job: { adapterVersion: { adapterId, ...expired } } },
        });
        const { count } = await tx.adapterVersion.deleteMany({ where: { teamId, adapterId, ...expired } });
        await tx.adapter.deleteMany({ where: { ...adapter, versions: { none: {} } } });
        return count;
      });
    }
    if (due.length < batch) return removed;
  }
}
