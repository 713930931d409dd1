import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { type Job, jobColumns, type Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';

/** running → paused, by the worker that was asked to and has checkpointed; the attempt is refunded. Null: fenced. */
export async function pauseRunningJob(db: Database, lease: Lease): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<Job>(
      `UPDATE jobs SET state = 'paused', pause_requested_at = NULL, lease_until = NULL, worker_id = NULL,
         attempts = attempts - 1, attempts_since_checkpoint = greatest(attempts_since_checkpoint - 1, 0)
       WHERE id = $1 AND lease_epoch = $2 AND state = 'running' AND pause_requested_at IS NOT NULL
         AND cancel_requested_at IS NULL
       RETURNING ${jobColumns}`,
      [lease.id, lease.epoch],
    );
    const job = rows[0];
    if (!job) return null;
    await insertEvent(tx, job, { message: 'Fine-tuning job paused' });
    return job;
  });
}
