import { isLastingModelFault } from '../../base-models/base-model-fault.ts';
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import { enqueueOutboxEvent } from '../../webhooks/enqueue-outbox-event.ts';
import type { Job, JobError, Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds, lockJob } from './change-job.ts';
import { endJob } from './end-job.ts';
import { endAttempt } from './job-attempts.ts';
import { returnHeld } from './return-job.ts';

/** Maximum number of attempts lost since the last new checkpoint; the last of them fails the job. */
export const attemptLimit = 3;

/** SQL: when a job that lost an attempt may run again: 1 s, 4 s, … after the first, second, … */
export const retryAfter = Prisma.sql`now() + make_interval(secs => least(power(4, attempts_since_checkpoint - 1), 60))`;

/**
 * Records that the attempt of a running job failed. An environment error releases the job (`returnJob`). running → failed for
 * a user error or a broken base model, which no retry fixes, or if this was the third attempt since the last new checkpoint.
 * Otherwise → queued, to run again after a backoff, or → paused if a pause was requested. → cancelled if a cancel was requested.
 * Null when fenced.
 */
export async function failJob(db: Database, lease: Lease, error: JobError): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const guard = holds(lease, 'running');
    const held = await lockJob(tx, guard);
    if (!held) return null;
    if (held.cancelRequestedAt) return await endJob(tx, guard, { state: 'cancelled' });
    if (error.fault === 'environment') {
      return await returnHeld(tx, held, { workerId: held.workerId ?? '', reason: error.message });
    }
    const isLasting = error.fault === 'user' || isLastingModelFault(error.code);
    if (isLasting || held.attemptsSinceCheckpoint >= attemptLimit) {
      return await endJob(tx, guard, { state: 'failed', error });
    }
    const state = held.pauseRequestedAt ? 'paused' : 'queued';
    const job = await changeJob(
      tx,
      guard,
      Prisma.sql`state = ${state}, lease_until = NULL, pause_requested_at = NULL, error = NULL,
        run_after = ${retryAfter}`,
    );
    await endAttempt(tx, held, 'failed', { reason: error.message });
    await insertEvent(tx, held, {
      level: 'warn',
      message: `Attempt ${held.attempts} failed, ${state === 'paused' ? 'job paused' : 'trying again'}: ${error.message}`,
    });
    if (state === 'paused') await enqueueOutboxEvent(tx, held, 'fine_tuning.job.paused');
    return job;
  });
}
