import type { Database, Transaction } from '../../../database/database.ts';
import { isDatabaseUnavailable, isRowLocked } from '../../../database/database-unavailable.ts';
import { inTransaction } from '../../../database/in-transaction.ts';
import { hasExpired } from '../../../database/lease-expiry.ts';
import { Prisma } from '../../../generated/client.ts';
import { enqueueOutboxEvent } from '../../../webhooks/enqueue-outbox-event.ts';
import { type Job, type JobError, leaseOf } from '../../job.ts';
import { insertEvent } from '../../records/job-event.ts';
import { changeJob, holds, type JobFaultListener, lockFreeJobs } from '../change-job.ts';
import { endJob } from '../end-job.ts';
import { attemptLimit, retryAfter } from '../fail-job.ts';
import { endAttempt } from '../job-attempts.ts';
import { expireValidation } from '../validate-job.ts';

const workerLost: JobError = {
  code: 'worker_lost',
  message: `The worker was lost ${attemptLimit} times without a new checkpoint between.`,
  param: null,
  fault: 'system',
};

/**
 * running → queued, paused, failed or cancelled for every job whose lease has expired, because its worker is gone. An expired
 * validation waits for another process to start it again, or fails. Lease epoch + 1, so that a worker that only seemed gone is
 * fenced. While `hasExpired` is false because holders could not have renewed, sweeps only the jobs of `dead` workers, whose processes are
 * known to have ended and whose leases need not run out. Each job has a separate transaction: a locked job is left for the next pass, as
 * is a job that cannot be changed, which `onFault` reports.
 */
export async function sweepExpiredLeases(
  db: Database,
  { leaseSeconds, dead = [], onFault }: { leaseSeconds: number; dead?: string[]; onFault?: JobFaultListener },
): Promise<Job[]> {
  const expired = Prisma.sql`state IN ('running', 'validating')
    AND (${hasExpired(leaseSeconds)} OR worker_id = ANY(${dead}))`;
  const { rows } = await db.sql.query<{ id: string }>(Prisma.sql`SELECT id FROM jobs WHERE ${expired}`);
  const swept: Job[] = [];
  for (const { id } of rows) {
    try {
      const job = await inTransaction(db, async (tx) => {
        const [lost] = await lockFreeJobs(tx, Prisma.sql`id = ${id} AND ${expired}`);
        if (!lost) return null;
        return lost.state === 'running'
          ? await sweep(tx, lost, leaseSeconds)
          : await expireValidation(tx, lost, leaseSeconds);
      });
      if (job) swept.push(job);
    } catch (error) {
      if (isDatabaseUnavailable(error) && !isRowLocked(error)) throw error;
      onFault?.({ id, error });
    }
  }
  return swept;
}

async function sweep(tx: Transaction, lost: Job, leaseSeconds: number): Promise<Job | null> {
  const guard = holds(leaseOf(lost), 'running');
  await endAttempt(tx, lost, 'lost', { reason: 'The worker was lost.', leaseSeconds });
  if (lost.cancelRequestedAt) return await endJob(tx, guard, { state: 'cancelled' }, { fence: true });
  if (lost.attemptsSinceCheckpoint >= attemptLimit) {
    return await endJob(tx, guard, { state: 'failed', error: workerLost }, { fence: true });
  }
  const fenced = Prisma.sql`lease_epoch = lease_epoch + 1, lease_until = NULL, pause_requested_at = NULL, error = NULL`;
  const next = lost.pauseRequestedAt
    ? Prisma.sql`state = 'paused', ${fenced}`
    : Prisma.sql`state = 'queued', run_after = ${retryAfter}, ${fenced}`;
  const then = lost.pauseRequestedAt ? 'job paused' : 'job requeued';
  await insertEvent(tx, lost, {
    level: 'warn',
    message: `Worker ${lost.workerId} lost, ${then}`,
    data: { kind: 'lost', worker: lost.workerId, step: lost.lastCheckpointStep ?? 0 },
  });
  if (lost.pauseRequestedAt) await enqueueOutboxEvent(tx, lost, 'fine_tuning.job.paused');
  return await changeJob(tx, guard, next);
}
