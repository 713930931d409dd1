import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { insertOutbox } from '../../outbox/insert-outbox.ts';
import { attemptLimit, retryAfter } from './attempt-limit.ts';
import { type Job, type JobError, jobColumns } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';

/**
 * running → queued, failed or cancelled for every job whose lease has run out: its worker is gone. Lease epoch + 1,
 * so that a worker that only seemed gone is fenced. Nothing is swept in the first `leaseSeconds` of Postgres's life:
 * after an outage the workers get one lease to renew theirs. Run it under `runExclusive('sweep')`.
 */
export async function sweepExpiredLeases(db: Database, options: { leaseSeconds: number }): Promise<Job[]> {
  const error: JobError = {
    code: 'worker_lost',
    message: `The worker was lost ${attemptLimit} times without a new checkpoint between.`,
    param: null,
    fault: 'system',
  };
  return await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<Job>(
      `UPDATE jobs SET
         state = next.state, lease_epoch = lease_epoch + 1, lease_until = NULL,
         error = CASE WHEN next.state = 'failed' THEN $1::jsonb END,
         finished_at = CASE WHEN next.state IN ('failed', 'cancelled') THEN now() END,
         pause_requested_at = NULL,
         run_after = CASE WHEN next.state = 'queued' THEN ${retryAfter} ELSE run_after END
       FROM (SELECT id, lease_epoch AS seen,
                    CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled'
                         WHEN attempts_since_checkpoint >= $2 THEN 'failed'
                         WHEN pause_requested_at IS NOT NULL THEN 'paused' ELSE 'queued' END AS state
             FROM jobs WHERE state = 'running' AND lease_until < now()
               AND now() > pg_postmaster_start_time() + make_interval(secs => $3)
             FOR UPDATE SKIP LOCKED) AS next
       WHERE jobs.id = next.id AND jobs.lease_epoch = next.seen AND jobs.state = 'running'
       RETURNING ${jobColumns}`,
      [JSON.stringify(error), attemptLimit, options.leaseSeconds],
    );
    for (const job of rows) {
      if (job.state === 'failed') {
        await insertEvent(tx, job, { level: 'error', message: error.message });
        await insertOutbox(tx, job.teamId, 'fine_tuning.job.failed', { id: job.id });
      } else if (job.state === 'cancelled') {
        await insertEvent(tx, job, { message: 'Fine-tuning job cancelled' });
        await insertOutbox(tx, job.teamId, 'fine_tuning.job.cancelled', { id: job.id });
      } else {
        const then = job.state === 'paused' ? 'job paused' : 'job requeued';
        await insertEvent(tx, job, { level: 'warn', message: `The worker was lost, ${then}` });
      }
    }
    return rows;
  });
}
