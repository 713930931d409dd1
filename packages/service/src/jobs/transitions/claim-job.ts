import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import type { Job, Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds } from './change-job.ts';

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
    const job = await changeJob(
      tx,
      holds(lease, 'dispatched'),
      Prisma.sql`state = 'running', worker_id = ${options.workerId},
        lease_until = now() + make_interval(secs => ${options.leaseSeconds}),
        attempts = attempts + 1, attempts_since_checkpoint = attempts_since_checkpoint + 1,
        started_at = coalesce(started_at, now())`,
    );
    if (!job) return null;
    const attempt = job.attempts === 1 ? '' : ` (attempt ${job.attempts})`;
    await insertEvent(tx, job, { message: `Fine-tuning job started${attempt}` });
    return job;
  });
}
