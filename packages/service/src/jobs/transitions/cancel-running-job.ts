import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { insertOutbox } from '../../outbox/insert-outbox.ts';
import { type Job, jobColumns, type Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';

/** running → cancelled, by the worker that was asked to and has stopped its trainer. Null: fenced. */
export async function cancelRunningJob(db: Database, lease: Lease): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<Job>(
      `UPDATE jobs SET state = 'cancelled', lease_until = NULL, finished_at = now()
       WHERE id = $1 AND lease_epoch = $2 AND state = 'running' AND cancel_requested_at IS NOT NULL
       RETURNING ${jobColumns}`,
      [lease.id, lease.epoch],
    );
    const job = rows[0];
    if (!job) return null;
    await insertEvent(tx, job, { message: 'Fine-tuning job cancelled' });
    await insertOutbox(tx, job.teamId, 'fine_tuning.job.cancelled', { id: job.id });
    return job;
  });
}
