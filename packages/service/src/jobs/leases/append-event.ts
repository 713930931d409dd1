import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import type { Lease } from '../job.ts';
import { insertEvent, type NewJobEvent } from '../records/job-event.ts';

/** Adds an event to a job under lease (validating or running). False: fenced, nothing written. */
export async function appendEvent(db: Database, lease: Lease, event: NewJobEvent): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<{ teamId: string }>(
      `SELECT team_id AS "teamId" FROM jobs
       WHERE id = $1 AND lease_epoch = $2 AND state IN ('validating', 'running') FOR SHARE`,
      [lease.id, lease.epoch],
    );
    const job = rows[0];
    if (!job) return false;
    await insertEvent(tx, { id: lease.id, teamId: job.teamId }, event);
    return true;
  });
}
