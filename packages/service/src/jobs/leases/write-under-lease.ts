/** Rows that belong to a job and may be written only by the holder of its lease. */
import type { Database, Transaction } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import type { JobState, Lease } from '../job.ts';
import { insertEvent, type NewJobEvent } from '../records/job-event.ts';
import { holds } from '../transitions/change-job.ts';

/**
 * Runs `write` in a transaction during which the lease cannot be lost. One at a time for each job: its events are committed in
 * the order of their `seq`, so whoever reads on behind one misses none. False: the lease is not held, or the job is in none
 * of the states; nothing was written.
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

/** Adds an event to a job under lease (validating or running). False: fenced, nothing written. */
export async function appendEvent(db: Database, lease: Lease, event: NewJobEvent): Promise<boolean> {
  return await underLease(
    db,
    lease,
    ['validating', 'running'],
    async (tx, job) => await insertEvent(tx, job, event),
  );
}

/**
 * The same, unless the job has an event about this already: an attempt that goes on from a checkpoint comes to it again. `about` is
 * kept in the event's data. False: fenced, nothing written.
 */
export async function appendEventOnce(
  db: Database,
  lease: Lease,
  about: string,
  event: NewJobEvent,
): Promise<boolean> {
  return await underLease(db, lease, ['validating', 'running'], async (tx, { id: jobId, teamId }) => {
    const told = await tx.jobEvent.findFirst({
      where: { teamId, jobId, data: { path: ['about'], equals: about } },
      select: { id: true },
    });
    if (!told) await insertEvent(tx, { id: jobId, teamId }, { ...event, data: { ...event.data, about } });
  });
}
