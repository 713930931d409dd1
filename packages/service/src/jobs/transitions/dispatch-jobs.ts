/** Who is next, decided in SQL: teams take turns, those with fewer jobs at work first. */
import type { Database } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import type { WorkerCapabilities } from '../../workers/worker-registry.ts';
import type { Lease } from '../job.ts';
import { canRun, mayTake, takesJobs } from './may-take.ts';

/**
 * queued → dispatched, lease epoch + 1, for as many jobs as the living workers may have waiting: at most two per
 * slot dispatched or running, so that order is decided here and not by the queue. Next is always the oldest job of
 * the team with the fewest jobs at work that is below its running limit, among those that a living worker can run; of
 * jobs with the same requirements no more are out than two per slot that meets them. Ring the queue for each lease
 * returned.
 */
export async function dispatchJobs({ sql }: Pick<Database, 'sql'>): Promise<Lease[]> {
  const leases: Lease[] = [];
  for (;;) {
    const { rows } = await sql.query<Lease>(
      Prisma.sql`WITH at_work AS (
         SELECT team_id, count(*)::int AS jobs FROM jobs WHERE state IN ('dispatched', 'running') GROUP BY team_id
       ), room AS (
         SELECT 2 * (SELECT coalesce(sum(slots), 0) FROM workers WHERE ${takesJobs})
                - (SELECT coalesce(sum(jobs), 0) FROM at_work) AS jobs
       ), next AS (
         SELECT jobs.id FROM jobs JOIN teams ON teams.id = jobs.team_id
           LEFT JOIN at_work ON at_work.team_id = jobs.team_id
         WHERE jobs.state = 'queued' AND jobs.run_after <= now()
           AND coalesce(at_work.jobs, 0) < teams.running_limit AND (SELECT jobs FROM room) > 0
           AND 2 * (SELECT sum(slots) FROM workers WHERE ${takesJobs} AND ${canRun})
               > CASE WHEN jobs.requirements IS NULL THEN 0 ELSE (
                   SELECT count(*) FROM jobs AS alike WHERE alike.state IN ('dispatched', 'running')
                     AND alike.requirements = jobs.requirements) END
         ORDER BY coalesce(at_work.jobs, 0), jobs.created_at, jobs.id
         LIMIT 1 FOR UPDATE OF jobs SKIP LOCKED
       )
       UPDATE jobs SET state = 'dispatched', lease_epoch = lease_epoch + 1, lease_until = NULL, worker_id = NULL,
                       dispatched_at = now()
       FROM next WHERE jobs.id = next.id AND jobs.state = 'queued'
       RETURNING jobs.id, jobs.lease_epoch AS epoch`,
    );
    const lease = rows[0];
    if (!lease) return leases;
    leases.push(lease);
  }
}

/**
 * Dispatched jobs that nobody claimed for `seconds`: their bell may be lost (queue restarted empty, or down when it
 * should have rung). Ringing again is harmless. With `worker`, only those that it may take.
 */
export async function staleDispatched(
  { sql }: Pick<Database, 'sql'>,
  options: { seconds: number; worker?: { id: string; capabilities: WorkerCapabilities | null } },
): Promise<Lease[]> {
  const { rows } = await sql.query<Lease>(
    Prisma.sql`SELECT id, lease_epoch AS epoch FROM jobs
     WHERE state = 'dispatched' AND dispatched_at < now() - make_interval(secs => ${options.seconds})
       ${options.worker ? Prisma.sql`AND ${mayTake(options.worker)}` : Prisma.empty} ORDER BY dispatched_at`,
  );
  return rows;
}

/**
 * Where a queued job stands if nothing changes until its turn: 1 is next in the dispatcher's order. Null for a job that
 * is not queued.
 */
export async function queuePosition({ sql }: Database, teamId: string, id: string): Promise<number | null> {
  const { rows } = await sql.query<{ position: number }>(
    `WITH at_work AS (
       SELECT team_id, count(*) AS jobs FROM jobs WHERE state IN ('dispatched', 'running') GROUP BY team_id
     ), turns AS (
       SELECT jobs.team_id, jobs.id, jobs.created_at, coalesce(at_work.jobs, 0)
              + row_number() OVER (PARTITION BY jobs.team_id ORDER BY jobs.created_at, jobs.id) AS turn
       FROM jobs LEFT JOIN at_work ON at_work.team_id = jobs.team_id WHERE jobs.state = 'queued'
     ), places AS (
       SELECT team_id, id, row_number() OVER (ORDER BY turn, created_at, id)::int AS position FROM turns
     )
     SELECT position FROM places WHERE team_id = $1 AND id = $2`,
    [teamId, id],
  );
  return rows[0]?.position ?? null;
}
