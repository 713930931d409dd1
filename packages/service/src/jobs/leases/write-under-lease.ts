/** Writes rows that belong to a job and that only the holder of its lease may write. */
import type { Database, Transaction } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import type { JobState, Lease } from '../job.ts';
import { insertEvent, type NewJobEvent } from '../records/job-event.ts';
import { holds } from '../transitions/change-job.ts';

/**
 * Runs `write` in a transaction during which the lease cannot be lost. Transactions of one job run one at a time: its events are
 * committed in the order of their `seq`, so that a reader who continues after one misses none. Returns false, having written
 * nothing, if the lease is not held or the job is in none of the states.
 */
export async function underLease(
  db: Database,
  lease: Lease,
  states: [JobState, ...JobState[]],
  write: (tx: Transaction, job: { id: string; teamId: string }) => Promise<unknown>,
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const [job] = await tx.$queryRaw<{ id: string; teamId: string }[]>`
      SELECT id, team_id AS "teamId" FROM jobs
      WHERE ${holds(lease, ...states)} FOR NO KEY UPDATE`;
    if (!job) return false;
    await write(tx, job);
    return true;
  });
}

/** Adds an event to a job under lease (validating or running). False when fenced, and nothing is written. */
export async function appendEvent(db: Database, lease: Lease, event: NewJobEvent): Promise<boolean> {
  return await underLease(
    db,
    lease,
    ['validating', 'running'],
    async (tx, job) => await insertEvent(tx, job, event),
  );
}

/**
 * Like `appendEvent`, but only if the job has no event about `about`: an attempt that resumes from a checkpoint reaches the same point
 * again. The event's data keep `about`. False when fenced, and nothing is written.
 */
export async function appendEventOnce(
  db: Database,
  lease: Lease,
  about: string,
  event: NewJobEvent,
): Promise<boolean> {
  return await underLease(db, lease, ['validating', 'running'], async (tx, { id: jobId, teamId }) => {
    const existing = await tx.jobEvent.findFirst({
      where: { teamId, jobId, data: { path: ['about'], equals: about } },
      select: { id: true },
    });
    if (!existing) await insertEvent(tx, { id: jobId, teamId }, { ...event, data: { ...event.data, about } });
  });
}
