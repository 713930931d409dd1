import type { Database } from '../../database/database.ts';
import type { Job } from '../job.ts';
import { attemptLimit } from '../transitions/fail-job.ts';

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
}

/** What happens next to a job that is not over. */
export async function readOutlook({ db }: Pick<Database, 'db'>, job: Job): Promise<JobOutlook> {
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
  };
}
