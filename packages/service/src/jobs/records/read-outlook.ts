import type { Database } from '../../database/database.ts';
import type { Job, JobRequirements } from '../job.ts';
import { attemptLimit } from '../transitions/fail-job.ts';
import { hasWorker } from '../turns/may-take.ts';

/** What a job waits for, beyond its state. */
export interface JobOutlook {
  /** When it may run next, where that is not yet. */
  runAfter: Date | null;
  /** It goes to any other worker that can run it before this one. */
  avoidsWorker: string | null;
  /** Quarantined workers among those that had it. */
  quarantined: string[];
  /** Training attempts that may still be lost before a new checkpoint, the one under way included. */
  attemptsLeft: number;
  /** What its first attempt fixed; null before it. */
  requirements: JobRequirements | null;
  /** Whether a worker that lives and takes jobs can run it. */
  hasWorker: boolean;
}

/** What happens next to a job that is not over. */
export async function readOutlook(database: Pick<Database, 'db' | 'sql'>, job: Job): Promise<JobOutlook> {
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
