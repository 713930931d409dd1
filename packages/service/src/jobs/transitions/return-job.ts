import type { Database, Transaction } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import { tellOutbox } from '../../webhooks/tell-outbox.ts';
import { type Job, type JobError, type Lease, leaseOf } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds, lockJob } from './change-job.ts';
import { endJob } from './end-job.ts';
import { endAttempt } from './job-attempts.ts';

const backoffMinutes = [1, 2, 5, 10];

/** So many times may workers give a job back without a new checkpoint between; the last of them fails it. */
export const returnLimit = 20;
/** The same in all: that its machine is to blame a trainer says itself, and one that was taken over could say so after each step. */
export const returnLimitInAll = 200;

/** Minutes until a job that could not be run is tried again, after so many times in all. */
export function returnMinutes(times: number): number {
  return backoffMinutes[Math.min(times, backoffMinutes.length) - 1]!;
}

/** A fault of the environment: this worker cannot run the job, whose fault it is not. */
export interface Return {
  workerId: string;
  /** In plain words, shown to the team: no paths, no addresses. */
  reason: string;
}

/**
 * running → queued with the attempt refunded, to run again after some minutes, on another worker where one lives that
 * can. → failed when that has happened too often, without a new checkpoint between or in all. A job that was asked to cancel or
 * pause goes to cancelled or paused instead. Null: fenced.
 */
export async function returnJob(db: Database, lease: Lease, why: Return): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const held = await lockJob(tx, holds(lease, 'running'));
    return held && (await returnHeld(tx, held, why));
  });
}

/** As `returnJob`, of a running job that this transaction has locked. */
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
  if (faults >= returnLimit || inAll >= returnLimitInAll) return await failReturned(tx, held, reason);
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
  if (state === 'paused') await tellOutbox(tx, held, 'fine_tuning.job.paused');
  return job;
}

/** How often workers have given this job back with its attempt refunded, this time included, since its last new checkpoint. */
export async function countReturn(tx: Transaction, held: Job): Promise<number> {
  return (await madeCheckpoint(tx, held)) ? 1 : held.environmentFaults + 1;
}

/** running → failed: it was given back `returnLimit` times. */
export async function failReturned(tx: Transaction, held: Job, reason: string): Promise<Job | null> {
  const guard = holds(leaseOf(held), 'running');
  return await endJob(tx, guard, { state: 'failed', error: tooOften(reason) });
}

/** Whether the attempt under way made a checkpoint beyond the one it could begin from. */
async function madeCheckpoint(
  tx: Transaction,
  { teamId, id, leaseEpoch, lastCheckpointStep }: Job,
): Promise<boolean> {
  const attempt = await tx.jobAttempt.findFirst({
    where: { teamId, jobId: id, leaseEpoch },
    select: { fromStep: true },
  });
  return (lastCheckpointStep ?? 0) > (attempt?.fromStep ?? 0);
}

function tooOften(reason: string): JobError {
  return {
    code: 'no_fit_worker',
    message: `Workers could not run the job ${returnLimit} times without a new checkpoint between, or ${returnLimitInAll} times in all. The last said: ${reason}`,
    param: null,
    fault: 'environment',
  };
}
