import { isLastingModelFault } from '../../base-models/base-model-fault.ts';
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { insertOutbox } from '../../outbox/insert-outbox.ts';
import { attemptLimit, retryAfter } from './attempt-limit.ts';
import { type Job, type JobError, jobColumns, type Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';

/**
 * The attempt of a running job failed. running → failed for a user's fault or a broken base model, which no other attempt
 * mends, or when this was the third attempt since the last new checkpoint; else → queued, to run again after a pause. A
 * job that was asked to cancel goes to cancelled. Null: fenced.
 */
export async function failJob(db: Database, lease: Lease, error: JobError): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<Job>(
      `UPDATE jobs SET
         state = next.state, lease_until = NULL, pause_requested_at = NULL,
         error = CASE WHEN next.state = 'failed' THEN $4::jsonb END,
         finished_at = CASE WHEN next.state <> 'queued' THEN now() END,
         run_after = CASE WHEN next.state = 'queued' THEN ${retryAfter} ELSE run_after END
       FROM (SELECT id, CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled'
                             WHEN $3 OR attempts_since_checkpoint >= $5 THEN 'failed' ELSE 'queued' END AS state
             FROM jobs WHERE id = $1 FOR UPDATE) AS next
       WHERE jobs.id = next.id AND jobs.lease_epoch = $2 AND jobs.state = 'running'
       RETURNING ${jobColumns}`,
      [
        lease.id,
        lease.epoch,
        error.fault === 'user' || isLastingModelFault(error.code),
        JSON.stringify(error),
        attemptLimit,
      ],
    );
    const job = rows[0];
    if (!job) return null;
    if (job.state === 'queued') {
      await insertEvent(tx, job, {
        level: 'warn',
        message: `Attempt ${job.attempts} failed, trying again: ${error.message}`,
      });
    } else if (job.state === 'failed') {
      await insertEvent(tx, job, { level: 'error', message: error.message });
      await insertOutbox(tx, job.teamId, 'fine_tuning.job.failed', { id: job.id });
    } else {
      await insertEvent(tx, job, { message: 'Fine-tuning job cancelled' });
      await insertOutbox(tx, job.teamId, 'fine_tuning.job.cancelled', { id: job.id });
    }
    return job;
  });
}
