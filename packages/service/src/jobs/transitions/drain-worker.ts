import type { Transaction } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import { leaseOf } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds } from './change-job.ts';

/**
 * Asks what runs on a worker to leave it (`preemptRequestedAt`), as `preemptForStarved` does of one job: it checkpoints each and puts
 * it back into the queue, at no attempt. Only after the worker is quarantined in the same transaction, or it would take them again.
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
        'Asked to go elsewhere at a checkpoint: the operator takes its worker out of service. The job goes on from there on another one',
      data: { kind: 'preemption', worker: workerId, step: job.lastCheckpointStep ?? 0 },
    });
  }
}
