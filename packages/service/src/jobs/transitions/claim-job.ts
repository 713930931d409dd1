import type { Database } from '../../database/database.ts';
import { isDatabaseUnavailable, isRowLocked } from '../../database/database-unavailable.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import type { Dispatch } from '../../queue/job-queue.ts';
import { enqueueOutboxEvent } from '../../webhooks/enqueue-outbox-event.ts';
import type { Job } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import type { WorkerCapabilities } from '../turns/can-claim.ts';
import { canClaim } from '../turns/can-claim.ts';
import { changeJob, newLeaseToken } from './change-job.ts';
import { firstDispatched } from './dispatch-jobs.ts';
import { beginAttempt } from './job-attempts.ts';
import { wakeIntegrations } from './wake-integrations.ts';

/**
 * dispatched → running, attempt + 1, lease for `leaseSeconds`. The first claim by a worker that reports its capabilities
 * fixes the job's requirements. Null, with nothing to do, if the notification was late or a duplicate, or if the job is not for this
 * worker (it does not meet the requirements, is quarantined, or could not run the job before and another worker can).
 */
export async function claimJob(
  db: Database,
  { id, epoch }: Dispatch,
  options: { workerId: string; leaseSeconds: number; capabilities?: WorkerCapabilities | null },
): Promise<Job | null> {
  const { workerId, leaseSeconds, capabilities = null } = options;
  return await inTransaction(db, async (tx) => {
    const job = await changeJob(
      tx,
      Prisma.sql`id = ${id} AND lease_epoch = ${epoch} AND state = 'dispatched' AND ${canClaim({ id: workerId, capabilities })}`,
      Prisma.sql`state = 'running', lease_token = ${newLeaseToken()}, worker_id = ${workerId}, avoid_worker = NULL, preempt_requested_at = NULL,
        lease_until = now() + make_interval(secs => ${leaseSeconds}),
        attempts = attempts + 1, attempts_since_checkpoint = attempts_since_checkpoint + 1,
        started_at = coalesce(started_at, now()), requirements = coalesce(requirements, ${requirementsOn(capabilities)}),
        progress = CASE WHEN (progress->>'step')::int > coalesce(last_checkpoint_step, 0)
          THEN progress || jsonb_build_object('step', coalesce(last_checkpoint_step, 0), 'secondsRemaining', NULL)
          ELSE progress END`,
    );
    if (!job) return null;
    const attempt = job.attempts === 1 ? '' : ` (attempt ${job.attempts})`;
    await insertEvent(tx, job, { message: `Fine-tuning job started${attempt}` });
    await beginAttempt(tx, job, { kind: 'training', workerId });
    await enqueueOutboxEvent(tx, job, 'fine_tuning.job.running');
    await wakeIntegrations(tx, job);
    return job;
  });
}

/**
 * Calls `claimJob` for the job that this worker should run next (`firstDispatched`). Also returns the start time of the claim, by
 * `performance.now()`. Skips a job that cannot be claimed because a frozen process holds its row or the row is broken, so that no slot
 * stays empty for it; rejects with its error if there is no other job. Null if there is no job.
 */
export async function claimNextJob(
  db: Database,
  options: { workerId: string; leaseSeconds: number; capabilities?: WorkerCapabilities | null },
): Promise<{ job: Job; claimedAt: number } | null> {
  const worker = { id: options.workerId, capabilities: options.capabilities ?? null };
  const passedOver: string[] = [];
  let fault: unknown;
  for (;;) {
    const next = await firstDispatched(db, worker, passedOver);
    if (!next) {
      if (fault !== undefined) throw fault;
      return null;
    }
    const claimedAt = performance.now();
    try {
      const job = await claimJob(db, next, options);
      if (job) return { job, claimedAt };
      // Another slot was faster: try the next job.
    } catch (error) {
      if (isDatabaseUnavailable(error) && !isRowLocked(error)) throw error;
      fault = error;
    }
    passedOver.push(next.id);
  }
}

/** SQL: the requirements of a job whose first attempt runs on a worker with these capabilities. */
function requirementsOn(capabilities: WorkerCapabilities | null): Prisma.Sql {
  if (!capabilities) return Prisma.sql`NULL::jsonb`;
  const { device, threads, precisions, kernels: [kernels = 'stock'] = [], gpus: [gpu] = [] } = capabilities;
  const card = gpu === undefined ? Prisma.empty : Prisma.sql` || jsonb_build_object('gpu', ${gpu}::text)`;
  return Prisma.sql`(jsonb_build_object('device', ${device}::text, 'threads', ${threads}::int,
    'kernels', ${kernels}::text, 'precision', coalesce(nullif(resolved_training->>'precision', 'auto'), ${precisions[0]}::text))${card})`;
}
