/** Lists and controls workers for the operator. Workers belong to the installation, not to a team. */

import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import type { Worker } from '../generated/client.ts';
import { drainWorker } from '../jobs/transitions/drain-worker.ts';
import type { WorkerCapabilities } from '../jobs/turns/can-claim.ts';

/** Prisma arguments for the columns of a worker that operators see. */
const columns = {
  select: {
    id: true,
    hostname: true,
    slots: true,
    running: true,
    load: true,
    bases: true,
    draining: true,
    startedAt: true,
    heartbeatAt: true,
    consecutiveFaults: true,
    quarantinedAt: true,
    quarantineReason: true,
    capabilities: true,
    version: true,
    protocol: true,
  },
} as const;
type Row = Pick<Worker, keyof typeof columns.select>;

export type WorkerRecord = Omit<Row, 'capabilities'> & {
  capabilities: WorkerCapabilities | null;
  leases: WorkerLease[];
};

/** A job that a worker holds: its team, and the end of the lease unless renewed. Only the team may see which job it is. */
export interface WorkerLease {
  teamId: string;
  teamName: string;
  leaseEpoch: number;
  since: Date;
  until: Date;
  /** True where it was asked to checkpoint and move to another worker. */
  isLeaving: boolean;
}

async function withLeases(db: Pick<Transaction, 'job' | 'jobAttempt'>, rows: Row[]): Promise<WorkerRecord[]> {
  const jobs = await db.job.findMany({
    where: { workerId: { in: rows.map(({ id }) => id) }, state: 'running' },
    select: {
      id: true,
      workerId: true,
      teamId: true,
      team: { select: { name: true } },
      leaseEpoch: true,
      leaseUntil: true,
      preemptRequestedAt: true,
    },
  });
  const attempts = await db.jobAttempt.findMany({
    where: { endedAt: null, kind: 'training', jobId: { in: jobs.map(({ id }) => id) } },
    select: { jobId: true, leaseEpoch: true, startedAt: true },
  });
  const began = new Map(attempts.map((each) => [`${each.jobId} ${each.leaseEpoch}`, each.startedAt]));
  const leasesOf = (worker: string): WorkerLease[] =>
    jobs
      .filter(({ workerId }) => workerId === worker)
      .map(({ id, teamId, team, leaseEpoch, leaseUntil, preemptRequestedAt }) => ({
        teamId,
        teamName: team.name,
        leaseEpoch,
        until: leaseUntil!,
        since: began.get(`${id} ${leaseEpoch}`) ?? leaseUntil!,
        isLeaving: preemptRequestedAt !== null,
      }));
  return rows.map((row) => ({
    ...row,
    capabilities: row.capabilities as WorkerCapabilities | null,
    leases: leasesOf(row.id),
  }));
}

/** Lists workers, newest first. Throws GraftError `invalid_cursor`. */
export async function listWorkers({ db }: Database, options: PageOptions): Promise<Page<WorkerRecord>> {
  const page = await listRows(
    db.worker,
    options,
    { orderBy: [{ startedAt: 'desc' }, { id: 'desc' }], ...columns },
    (row) => row,
  );
  return { ...page, data: await withLeases(db, page.data) };
}

/**
 * Takes a worker out of service, with a reason, or puts it back. The worker finishes its running jobs; with `drain` they continue on
 * other workers from a checkpoint instead. Null if there is no such worker.
 */
export async function setWorkerService(
  db: Database,
  id: string,
  change: { quarantine: string; drain?: boolean | undefined } | 'release',
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
    const drain = !isRelease && change.drain === true;
    if (drain) await drainWorker(tx, id);
    await insertAudit(tx, null, by, {
      action: isRelease ? 'worker.release' : 'worker.quarantine',
      target: id,
      ...(isRelease ? {} : { detail: { reason: change.quarantine, ...(drain && { drain }) } }),
    });
    const row = await tx.worker.findFirst({ where: { id }, ...columns });
    return row && (await withLeases(tx, [row]))[0]!;
  });
}
