import type { Database, Transaction } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import { type Job, type JobError, leaseOf } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds, lockFreeJobs } from './change-job.ts';
import { endJob } from './end-job.ts';
import { attemptLimit, retryAfter } from './fail-job.ts';

const workerLost: JobError = {
  code: 'worker_lost',
  message: `The worker was lost ${attemptLimit} times without a new checkpoint between.`,
  param: null,
  fault: 'system',
};

/**
 * running → queued, paused, failed or cancelled for every job whose lease has run out: its worker is gone. Lease epoch
 * + 1, so that a worker that only seemed gone is fenced. Nothing is swept in the first `leaseSeconds` of Postgres's life:
 * after an outage the workers get one lease to renew theirs. Run it under `runExclusive('sweep')`.
 */
export async function sweepExpiredLeases(db: Database, options: { leaseSeconds: number }): Promise<Job[]> {
  return await inTransaction(db, async (tx) => {
    const lost = await lockFreeJobs(
      tx,
      Prisma.sql`state = 'running' AND lease_until < now()
        AND now() > pg_postmaster_start_time() + make_interval(secs => ${options.leaseSeconds})`,
    );
    const swept: Job[] = [];
    for (const job of lost) {
      const after = await sweep(tx, job);
      if (after) swept.push(after);
    }
    return swept;
  });
}

async function sweep(tx: Transaction, lost: Job): Promise<Job | null> {
  const guard = holds(leaseOf(lost), 'running');
  if (lost.cancelRequestedAt) return await endJob(tx, guard, { state: 'cancelled' }, { fence: true });
  if (lost.attemptsSinceCheckpoint >= attemptLimit) {
    return await endJob(tx, guard, { state: 'failed', error: workerLost }, { fence: true });
  }
  const fenced = Prisma.sql`lease_epoch = lease_epoch + 1, lease_until = NULL, pause_requested_at = NULL, error = NULL`;
  const next = lost.pauseRequestedAt
    ? Prisma.sql`state = 'paused', ${fenced}`
    : Prisma.sql`state = 'queued', run_after = ${retryAfter}, ${fenced}`;
  const then = lost.pauseRequestedAt ? 'job paused' : 'job requeued';
  await insertEvent(tx, lost, { level: 'warn', message: `The worker was lost, ${then}` });
  return await changeJob(tx, guard, next);
}
