import type { Database, Transaction } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import { enqueueOutboxEvent } from '../../webhooks/enqueue-outbox-event.ts';
import { type Job, type JobError, type Lease, leaseOf } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds, lockJob } from './change-job.ts';
import { endJob } from './end-job.ts';
import { endAttempt } from './job-attempts.ts';

const backoffMinutes = [1, 2, 5, 10];

/** Maximum number of times workers may release a job without a new checkpoint between; the last of them fails the job. */
export const returnLimit = 20;
/** The same limit over all attempts: the trainer itself reports environment errors, and a compromised one could do so after each step. */
export const returnLimitInAll = 200;

/** Minutes until a job that could not be run is retried, by the number of releases so far. */
export function returnMinutes(times: number): number {
  return backoffMinutes[Math.min(times, backoffMinutes.length) - 1]!;
}

/** An environment error: this worker cannot run the job, and the job is not the cause. */
export interface Return {
  workerId: string;
  /** In plain language, shown to the team: without paths or addresses. */
  reason: string;
}

/**
 * running → queued with the attempt refunded, to run again after some minutes, preferably on another live worker that can
 * run it. → failed if this happened too often, without a new checkpoint between or in total. A job with a requested cancel or
 * pause goes to cancelled or paused instead. Null when fenced.
 */
export async function returnJob(db: Database, lease: Lease, why: Return): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const held = await lockJob(tx, holds(lease, 'running'));
    return held && (await returnHeld(tx, held, why));
  });
}

/** Like `returnJob`, for a running job that this transaction has locked. */
export async function returnHeld(
  tx: Transaction,
  held: Job,
  { workerId, reason }: Return,
): Promise<Job | null> {
  const guard = holds(leaseOf(held), 'running');
  if (held.cancelRequestedAt) return await endJob(tx, guard, { state: 'cancelled' });
  const faults = await countReturn(tx, held);
  await endAttempt(tx, held, 'environment', { reason });
  const { teamId, id: jobId } = held;
  const inAll = await tx.jobAttempt.count({
    where: { teamId, jobId, kind: 'training', outcome: 'environment' },
  });
  const often = faults >= returnLimit ? tooOften : inAll >= returnLimitInAll ? tooOftenInAll : null;
  if (often !== null) return await failReturned(tx, held, reason, often);
  const minutes = returnMinutes(faults);
  const state = held.pauseRequestedAt ? 'paused' : 'queued';
  const job = await changeJob(
    tx,
    guard,
    Prisma.sql`state = ${state}, pause_requested_at = NULL, lease_until = NULL, worker_id = NULL, error = NULL,
      attempts = attempts - 1, attempts_since_checkpoint = greatest(attempts_since_checkpoint - 1, 0),
      environment_faults = ${faults}, avoid_worker = ${workerId},
      run_after = now() + make_interval(mins => ${minutes})`,
  );
  const then = state === 'paused' ? 'job paused' : `job goes elsewhere in ${minutes} min`;
  await insertEvent(tx, held, {
    level: 'warn',
    message: `Worker ${workerId} cannot run this job, ${then}: ${reason}`,
    data: {
      kind: 'environment',
      worker: workerId,
      step: held.lastCheckpointStep ?? 0,
      seconds: minutes * 60,
    },
  });
  if (state === 'paused') await enqueueOutboxEvent(tx, held, 'fine_tuning.job.paused');
  return job;
}

/** Returns how often workers have released this job with a refund since its last new checkpoint, including this time. */
export async function countReturn(tx: Transaction, held: Job): Promise<number> {
  return (await hasNewCheckpoint(tx, held)) ? 1 : held.environmentFaults + 1;
}

/** How often workers have released a job that fails for it. */
const tooOften = `${returnLimit} times without a new checkpoint between`;
const tooOftenInAll = `${returnLimitInAll} times in all`;

/** running → failed: workers have released the job too often. */
export async function failReturned(
  tx: Transaction,
  held: Job,
  reason: string,
  often = tooOften,
): Promise<Job | null> {
  const error: JobError = {
    code: 'no_fit_worker',
    message: `Workers could not run the job ${often}. The last error: ${reason}`,
    param: null,
    fault: 'environment',
  };
  return await endJob(tx, holds(leaseOf(held), 'running'), { state: 'failed', error });
}

/** Returns whether the current attempt made a checkpoint beyond the one it started from. */
async function hasNewCheckpoint(
  tx: Transaction,
  { teamId, id, leaseEpoch, lastCheckpointStep }: Job,
): Promise<boolean> {
  const attempt = await tx.jobAttempt.findFirst({
    where: { teamId, jobId: id, leaseEpoch },
    select: { fromStep: true },
  });
  return (lastCheckpointStep ?? 0) > (attempt?.fromStep ?? 0);
}
