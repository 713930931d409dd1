import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import type { Job, Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { acceptsJobs, canRun } from '../turns/can-claim.ts';
import { changeJob, holds } from './change-job.ts';

/**
 * Requests preemption of one running job (`preemptRequestedAt`) if a team has waited for `seconds` and runs no job. Chooses, from the
 * team with the most running jobs for its weight, the job that started first and at least `seconds` ago, on a worker that can run the
 * waiting job. Preempts only if all slots that could run the waiting job are occupied, and one job at a time. The worker checkpoints
 * the job and requeues it. Other dispatched jobs of its team are requeued too, so that the slot goes to the team whose turn it is.
 * Null if no job must be preempted.
 */
export async function preemptForStarved(db: Database, { seconds }: { seconds: number }): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const longAgo = Prisma.sql`now() - make_interval(secs => ${seconds})`;
    const [found] = await tx.$queryRaw<(Lease & { minutes: number })[]>`
      WITH running AS MATERIALIZED (
        SELECT id, team_id, lease_epoch, lease_token, worker_id, (SELECT min(started_at) FROM job_attempts
          WHERE job_attempts.team_id = jobs.team_id AND job_id = jobs.id AND job_attempts.lease_epoch = jobs.lease_epoch) AS since,
          pause_requested_at IS NULL AND cancel_requested_at IS NULL AS stays, preempt_requested_at
        FROM jobs WHERE state = 'running'
      ), shares AS MATERIALIZED (
        SELECT running.team_id, count(*)::float8 / min(teams.weight) AS share
        FROM running JOIN teams ON teams.id = running.team_id GROUP BY running.team_id
      ), busy AS MATERIALIZED (SELECT worker_id, count(*) AS jobs FROM running GROUP BY worker_id)
      SELECT held.id, held.lease_epoch AS epoch, held.lease_token AS token, round(extract(epoch FROM now() - jobs.run_after) / 60)::int AS minutes
      FROM teams CROSS JOIN LATERAL (
        SELECT * FROM jobs WHERE jobs.team_id = teams.id AND jobs.state IN ('queued', 'dispatched')
          AND jobs.run_after < ${longAgo} ORDER BY jobs.run_after LIMIT 1
      ) AS jobs
      JOIN running AS held ON held.team_id <> teams.id AND held.stays AND held.since < ${longAgo}
      JOIN shares ON shares.team_id = held.team_id
      JOIN workers ON workers.id = held.worker_id AND ${acceptsJobs} AND ${canRun}
      WHERE teams.running_limit > 0 AND NOT EXISTS (SELECT 1 FROM running WHERE team_id = teams.id)
        AND NOT EXISTS (SELECT 1 FROM running WHERE preempt_requested_at IS NOT NULL)
        AND NOT EXISTS (
          SELECT 1 FROM workers LEFT JOIN busy ON busy.worker_id = workers.id
          WHERE ${acceptsJobs} AND ${canRun} AND coalesce(busy.jobs, 0) < workers.slots)
      ORDER BY jobs.run_after, shares.share DESC, held.since, held.id LIMIT 1`;
    if (!found) return null;
    const job = await changeJob(
      tx,
      Prisma.sql`${holds(found, 'running')} AND preempt_requested_at IS NULL`,
      Prisma.sql`preempt_requested_at = now()`,
    );
    if (!job) return null;
    await tx.$executeRaw`
      UPDATE jobs SET state = 'queued' WHERE state = 'dispatched' AND id IN (
        SELECT id FROM jobs WHERE state = 'dispatched' AND team_id = ${job.teamId} FOR UPDATE SKIP LOCKED)`;
    await insertEvent(tx, job, {
      message: `Preempting at the next checkpoint: another team has waited for ${found.minutes} min without a slot. The job resumes from there when it is your team's turn again`,
      data: { kind: 'preemption', worker: job.workerId, step: job.lastCheckpointStep ?? 0 },
    });
    return job;
  });
}
