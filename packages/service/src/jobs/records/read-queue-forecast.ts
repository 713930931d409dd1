import type { Database } from '../../database/database.ts';
import type { Job, JobRequirements } from '../job.ts';
import { attemptLimit } from '../transitions/fail-job.ts';
import { hasWorker } from '../turns/can-claim.ts';

export interface QueueForecast {
  /** When it may run next; null if it may run now. */
  runAfter: Date | null;
  /** The worker that gets the job only if no other worker can run it. */
  avoidsWorker: string | null;
  /** Quarantined workers among those that have run the job. */
  quarantined: string[];
  /** Number of training attempts that may still be lost before a new checkpoint, including the current one. */
  attemptsLeft: number;
  /** Requirements that its first attempt fixed; null before that. */
  requirements: JobRequirements | null;
  /** True where a live worker that accepts jobs can run it. */
  hasWorker: boolean;
}

export async function readQueueForecast(
  database: Pick<Database, 'db' | 'sql'>,
  job: Job,
): Promise<QueueForecast> {
  const { db } = database;
  const had = await db.jobAttempt.findMany({
    where: { teamId: job.teamId, jobId: job.id },
    select: { workerId: true },
    distinct: ['workerId'],
    take: 100,
  });
  const quarantined = await db.worker.findMany({
    where: { id: { in: had.map(({ workerId }) => workerId) }, quarantinedAt: { not: null } },
    select: { id: true },
  });
  const waits = job.state === 'queued' || job.state === 'validating';
  return {
    runAfter: waits && job.runAfter > new Date() ? job.runAfter : null,
    avoidsWorker: job.avoidWorker,
    quarantined: quarantined.map(({ id }) => id),
    attemptsLeft: Math.max(0, attemptLimit - job.attemptsSinceCheckpoint + (job.state === 'running' ? 1 : 0)),
    requirements: job.requirements,
    hasWorker: await hasWorker(database, job.id),
  };
}
