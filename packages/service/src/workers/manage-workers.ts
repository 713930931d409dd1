/** What the operator sees of workers, and does with them. Workers belong to the installation, not to a team. */
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { type Page, readPage } from '../database/read-page.ts';
import type { Worker } from '../generated/client.ts';
import { type Actor, actorOf } from '../keys/verify-api-key.ts';
import type { WorkerCapabilities } from './worker-registry.ts';

export type WorkerRecord = Pick<
  Worker,
  | 'id'
  | 'hostname'
  | 'slots'
  | 'running'
  | 'load'
  | 'bases'
  | 'draining'
  | 'startedAt'
  | 'heartbeatAt'
  | 'consecutiveFaults'
  | 'quarantinedAt'
  | 'quarantineReason'
> & { capabilities: WorkerCapabilities | null };

const told = {
  select: {
    ...{ id: true, hostname: true, slots: true, running: true, load: true, bases: true, draining: true },
    ...{ startedAt: true, heartbeatAt: true, consecutiveFaults: true, quarantinedAt: true },
    ...{ quarantineReason: true, capabilities: true },
  },
} as const;

const workerOf = (row: Omit<WorkerRecord, 'capabilities'> & { capabilities: unknown }): WorkerRecord => ({
  ...row,
  capabilities: row.capabilities as WorkerCapabilities | null,
});

/** Newest first. Throws GraftError `invalid_cursor`. */
export async function listWorkers(
  { db }: Database,
  options: { after?: string | undefined; limit: number },
): Promise<Page<WorkerRecord>> {
  return await readPage(options, {
    has: async (id) => await db.worker.count({ where: { id } }),
    read: async (page) =>
      await db.worker.findMany({ orderBy: [{ startedAt: 'desc' }, { id: 'desc' }], ...page, ...told }),
    toRecord: workerOf,
  });
}

/**
 * The operator takes a worker out of service, for the reason given, or back into it. It finishes what it runs. Null: no
 * such worker.
 */
export async function setWorkerService(
  db: Database,
  id: string,
  change: { quarantine: string } | 'release',
  by: Actor | null,
): Promise<WorkerRecord | null> {
  const isRelease = change === 'release';
  return await inTransaction(db, async (tx) => {
    const count = isRelease
      ? await tx.$executeRaw`
          UPDATE workers SET consecutive_faults = 0, quarantined_at = NULL, quarantine_reason = NULL WHERE id = ${id}`
      : await tx.$executeRaw`
          UPDATE workers SET quarantined_at = coalesce(quarantined_at, now()), quarantine_reason = ${change.quarantine}
          WHERE id = ${id}`;
    if (count === 0) return null;
    await insertAudit(tx, null, {
      ...actorOf(by),
      action: isRelease ? 'worker.release' : 'worker.quarantine',
      target: id,
      ...(isRelease ? {} : { detail: { reason: change.quarantine } }),
    });
    const row = await tx.worker.findFirst({ where: { id }, ...told });
    return row && workerOf(row);
  });
}
