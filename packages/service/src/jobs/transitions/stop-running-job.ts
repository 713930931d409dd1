import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { insertOutbox } from '../../outbox/insert-outbox.ts';
import { type Job, jobColumns, type Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';

/**
 * running → queued, for a worker that stops in good order (SIGTERM: checkpointed): the attempt is refunded. A job
 * that was asked to cancel or pause goes to cancelled or paused instead. Null: fenced.
 */
export async function releaseJob(db: Database, lease: Lease): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<Job>(
      `UPDATE jobs SET
         state = CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled'
                      WHEN pause_requested_at IS NOT NULL THEN 'paused' ELSE 'queued' END,
         finished_at = CASE WHEN cancel_requested_at IS NOT NULL THEN now() END,
         pause_requested_at = NULL, lease_until = NULL, worker_id = NULL, run_after = now(),
         attempts = attempts - 1, attempts_since_checkpoint = greatest(attempts_since_checkpoint - 1, 0)
       WHERE id = $1 AND lease_epoch = $2 AND state = 'running'
       RETURNING ${jobColumns}`,
      [lease.id, lease.epoch],
    );
    const job = rows[0];
    if (!job) return null;
    if (job.state === 'cancelled') {
      await insertEvent(tx, job, { message: 'Fine-tuning job cancelled' });
      await insertOutbox(tx, job.teamId, 'fine_tuning.job.cancelled', { id: job.id });
    } else {
      const message = job.state === 'paused' ? 'Fine-tuning job paused' : 'Worker is stopping, job requeued';
      await insertEvent(tx, job, { message });
    }
    return job;
  });
}
