import type { Transaction } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import { leaseOf } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds } from './change-job.ts';

/**
 * Asks the running jobs of a worker to leave it (`preemptRequestedAt`), as `preemptForStarved` asks one job: the worker checkpoints each
 * and requeues it with the attempt refunded. Call only after the same transaction quarantines the worker, or it would claim them again.
 */
export async function drainWorker(tx: Transaction, workerId: string): Promise<void> {
  const held = await tx.job.findMany({
    where: { workerId, state: 'running' },
    select: { id: true, leaseEpoch: true, leaseToken: true },
  });
  for (const lease of held) {
    const guard = Prisma.sql`${holds(leaseOf(lease), 'running')} AND preempt_requested_at IS NULL
      AND pause_requested_at IS NULL AND cancel_requested_at IS NULL`;
    const job = await changeJob(tx, guard, Prisma.sql`preempt_requested_at = now()`);
    if (!job) continue;
    await insertEvent(tx, job, {
      message:
        'Moving at the next checkpoint: the operator takes its worker out of service. The job resumes from there on another one',
      data: { kind: 'preemption', worker: workerId, step: job.lastCheckpointStep ?? 0 },
    });
  }
}
