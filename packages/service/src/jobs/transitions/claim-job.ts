import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { type Job, jobColumns, type Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';

/**
 * dispatched → running, attempt + 1, lease taken for `leaseSeconds`. Null: the bell was rung twice, or late; there is
 * nothing to do.
 */
export async function claimJob(
  db: Database,
  lease: Lease,
  options: { workerId: string; leaseSeconds: number },
): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<Job>(
      `UPDATE jobs SET
         state = 'running', worker_id = $3, lease_until = now() + make_interval(secs => $4),
         attempts = attempts + 1, attempts_since_checkpoint = attempts_since_checkpoint + 1,
         started_at = coalesce(started_at, now())
       WHERE id = $1 AND lease_epoch = $2 AND state = 'dispatched'
       RETURNING ${jobColumns}`,
      [lease.id, lease.epoch, options.workerId, options.leaseSeconds],
    );
    const job = rows[0];
    if (!job) return null;
    await insertEvent(tx, job, {
      message:
        job.attempts === 1 ? 'Fine-tuning job started' : `Fine-tuning job started (attempt ${job.attempts})`,
    });
    return job;
  });
}
