/** Transitions by which a worker releases an unfinished job: because a user asked, or because the worker itself stops. */
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import { enqueueOutboxEvent } from '../../webhooks/enqueue-outbox-event.ts';
import type { Job, Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds, lockJob } from './change-job.ts';
import { endJob } from './end-job.ts';
import { endAttempt } from './job-attempts.ts';
import { countReturn, failReturned, returnLimit } from './return-job.ts';

/** SQL: releases the lease; the attempt does not count. */
const letGo = Prisma.sql`pause_requested_at = NULL, preempt_requested_at = NULL, lease_until = NULL, worker_id = NULL,
  attempts = attempts - 1, attempts_since_checkpoint = greatest(attempts_since_checkpoint - 1, 0)`;

/** running → cancelled, by the worker that was asked to cancel and has stopped its trainer. Null when fenced. */
export async function cancelRunningJob(db: Database, lease: Lease): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const guard = Prisma.sql`${holds(lease, 'running')} AND cancel_requested_at IS NOT NULL`;
    return await endJob(tx, guard, { state: 'cancelled' });
  });
}

/** running → paused, by the worker that was asked to pause and has checkpointed; the attempt is refunded. Null when fenced. */
export async function pauseRunningJob(db: Database, lease: Lease): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const job = await changeJob(
      tx,
      Prisma.sql`${holds(lease, 'running')} AND pause_requested_at IS NOT NULL AND cancel_requested_at IS NULL`,
      Prisma.sql`state = 'paused', ${letGo}`,
    );
    if (!job) return null;
    await endAttempt(tx, job, 'paused');
    await insertEvent(tx, job, { message: 'Fine-tuning job paused' });
    await enqueueOutboxEvent(tx, job, 'fine_tuning.job.paused');
    return job;
  });
}

export interface Release {
  /** Shown in the job's events. */
  reason: string;
  /**
   * The worker could not renew its lease in time. The job itself may be the cause, by the memory it uses: so this counts towards the
   * maximum number of releases without a new checkpoint between, and the last one fails the job.
   */
  isLate?: boolean;
  /** Set if the job ran out of memory: it runs again, on any worker, with this number of examples per pass. */
  microBatch?: number;
}

/**
 * running → queued with the attempt refunded, for a worker that shuts down cleanly (SIGTERM: checkpointed), that preempts the job
 * for another team, or that was cut off from Postgres and still has the lease; or for a job that ran out of memory and must retry
 * with less. A job with a requested cancel or pause goes to cancelled or paused instead. Null when fenced.
 */
export async function releaseJob(
  db: Database,
  lease: Lease,
  { reason, isLate = false, microBatch }: Release = { reason: 'Worker is stopping' },
): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const guard = holds(lease, 'running');
    const held = await lockJob(tx, guard);
    if (!held) return null;
    if (held.cancelRequestedAt) return await endJob(tx, guard, { state: 'cancelled' });
    const state = held.pauseRequestedAt ? 'paused' : 'queued';
    const returns = isLate ? await countReturn(tx, held) : held.environmentFaults;
    await endAttempt(tx, held, state === 'paused' ? 'paused' : 'released', { reason });
    if (isLate && returns >= returnLimit) return await failReturned(tx, held, reason);
    const smaller = microBatch
      ? Prisma.sql`, requirements = coalesce(requirements, '{}') || jsonb_build_object('microBatch', ${microBatch}::int)`
      : Prisma.empty;
    const job = await changeJob(
      tx,
      guard,
      Prisma.sql`state = ${state}, run_after = now(), environment_faults = ${returns}, ${letGo}${smaller}`,
    );
    const message = state === 'paused' ? 'Fine-tuning job paused' : `${reason}, job requeued`;
    await insertEvent(tx, held, {
      message,
      ...(microBatch && {
        level: 'warn',
        message: `${reason}, job ${state}`,
        data: { kind: 'out_of_memory', micro_batch: microBatch },
      }),
    });
    if (state === 'paused') await enqueueOutboxEvent(tx, held, 'fine_tuning.job.paused');
    return job;
  });
}
