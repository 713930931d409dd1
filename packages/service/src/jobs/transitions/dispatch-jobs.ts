/** Decides in SQL which job is next: teams take turns by their weights (team-turns.ts), and each team's jobs by priority and age. */
import type { Database } from '../../database/database.ts';
import { isDatabaseUnavailable, isRowLocked } from '../../database/database-unavailable.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import type { Dispatch } from '../../queue/job-queue.ts';
import type { WorkerCapabilities } from '../turns/can-claim.ts';
import { acceptsJobs, canClaim, canRun } from '../turns/can-claim.ts';
import { advanceClock, atWork, claimTurn, rank, teamTurns } from '../turns/team-turns.ts';
import type { JobFaultListener } from './change-job.ts';

/**
 * queued → dispatched, lease epoch + 1, for as many jobs as the live workers can hold: at most two per slot dispatched
 * or running, so that the order is decided here and not by the queue. Next is always the first job of the team whose turn it
 * is and that is below its running limit, among the jobs that a live worker can run. At most two jobs with the same requirements
 * are out per slot that meets them. Jobs that another transaction has locked, and all jobs of a locked team, wait for the next
 * pass, as does a job that cannot be changed, which `onFault` reports. Calls `onLease` immediately for each dispatched job, to
 * notify the queue.
 */
export async function dispatchJobs(
  db: Database,
  options: { onLease?(lease: Dispatch): Promise<void>; onFault?: JobFaultListener } = {},
): Promise<Dispatch[]> {
  const leases: Dispatch[] = [];
  const passedOver: PassedOver = { jobs: [], teams: [] };
  for (let next = await nextToRun(db, passedOver); next; next = await nextToRun(db, passedOver)) {
    const { id, teamId } = next;
    const lease = await dispatchJob(db, next).catch((error: unknown) => {
      // A frozen process is ending an attempt of this team.
      if (isRowLocked(error)) return 'team locked' as const;
      if (isDatabaseUnavailable(error)) throw error;
      options.onFault?.({ id, error });
      return null;
    });
    if (lease === 'team locked') passedOver.teams.push(teamId);
    else if (lease === null) passedOver.jobs.push(id);
    else {
      leases.push(lease);
      await options.onLease?.(lease);
    }
  }
  return leases;
}

interface PassedOver {
  jobs: string[];
  teams: string[];
}

async function nextToRun(
  { sql }: Database,
  passedOver: PassedOver,
): Promise<{ id: string; teamId: string } | null> {
  const { rows } = await sql.query<{ id: string; teamId: string }>(
    Prisma.sql`WITH at_work AS MATERIALIZED (${atWork('training')}), room AS MATERIALIZED (
       SELECT 2 * (SELECT coalesce(sum(slots), 0) FROM workers WHERE ${acceptsJobs})
              - (SELECT coalesce(sum(jobs), 0) FROM at_work) AS jobs
     )
     SELECT next.id, teams.id AS "teamId" FROM teams LEFT JOIN at_work ON at_work.team_id = teams.id
     ${teamTurns('training')} CROSS JOIN LATERAL (
       SELECT jobs.id, jobs.created_at FROM jobs
       WHERE jobs.team_id = teams.id AND jobs.state = 'queued' AND jobs.run_after <= now()
         AND jobs.id <> ALL(${passedOver.jobs})
         AND 2 * (SELECT sum(slots) FROM workers WHERE ${acceptsJobs} AND ${canRun})
             > CASE WHEN jobs.requirements IS NULL THEN 0 ELSE (
                 SELECT count(*) FROM jobs AS alike WHERE alike.state IN ('dispatched', 'running')
                   AND alike.requirements = jobs.requirements) END
       ORDER BY ${rank}, jobs.id LIMIT 1
     ) AS next
     WHERE teams.id <> ALL(${passedOver.teams}) AND (SELECT jobs FROM room) > 0
       AND ${belowRunningLimit(Prisma.sql`coalesce(at_work.jobs, 0)`)}
     ORDER BY turns.start, coalesce(at_work.jobs, 0)::float8 / teams.weight, next.created_at, next.id LIMIT 1`,
  );
  return rows[0] ?? null;
}

/** SQL over a row of `teams`: with this number of jobs dispatched or running, the team may have one more. */
const belowRunningLimit = (jobs: Prisma.Sql): Prisma.Sql => Prisma.sql`(${jobs} < teams.running_limit)`;

/**
 * Null if the job is locked or no longer queued, or if its team is at its limit. Dispatches of one team run one at a time: two
 * dispatchers that count at the same moment would exceed the limit.
 */
async function dispatchJob(
  db: Database,
  { id, teamId }: { id: string; teamId: string },
): Promise<Dispatch | 'team locked' | null> {
  const dispatched = await inTransaction(db, async (tx) => {
    const teams = await tx.$queryRaw<object[]>`
      SELECT 1 FROM teams WHERE id = ${teamId} FOR NO KEY UPDATE SKIP LOCKED`;
    if (teams.length === 0) return 'team locked';
    const [lease] = await tx.$queryRaw<Dispatch[]>`
      UPDATE jobs SET state = 'dispatched', lease_epoch = lease_epoch + 1, lease_until = NULL, worker_id = NULL,
        dispatched_at = now()
      WHERE id = (SELECT id FROM jobs WHERE id = ${id} AND state = 'queued' AND run_after <= now() FOR UPDATE SKIP LOCKED)
        AND EXISTS (SELECT 1 FROM teams WHERE teams.id = jobs.team_id AND ${belowRunningLimit(Prisma.sql`(
          SELECT count(*) FROM jobs AS others WHERE others.team_id = jobs.team_id AND others.state IN ('dispatched', 'running'))`)})
      RETURNING id, lease_epoch AS epoch`;
    return lease ? { lease, start: await claimTurn(tx, teamId, 'training', atWork('training')) } : null;
  });
  if (dispatched === null || dispatched === 'team locked') return dispatched;
  await advanceClock(db, 'training', dispatched.start);
  return dispatched.lease;
}

/**
 * Returns the dispatched job that a worker with a free slot should claim, whichever job it was notified of: from the team with the
 * fewest running jobs for its weight, the job dispatched first. So a team that has just arrived need not wait until everything
 * dispatched before it has started. Null if there is none for this worker, apart from `passedOver`.
 */
export async function firstDispatched(
  { sql }: Pick<Database, 'sql'>,
  worker: { id: string; capabilities: WorkerCapabilities | null },
  passedOver: string[] = [],
): Promise<Dispatch | null> {
  const { rows } = await sql.query<Dispatch>(
    Prisma.sql`SELECT jobs.id, jobs.lease_epoch AS epoch FROM jobs JOIN teams ON teams.id = jobs.team_id
     WHERE jobs.state = 'dispatched' AND jobs.id <> ALL(${passedOver}) AND ${canClaim(worker)}
     ORDER BY (SELECT count(*) FROM jobs AS running WHERE running.state = 'running' AND running.team_id = jobs.team_id)::float8
       / teams.weight, jobs.dispatched_at, jobs.id LIMIT 1`,
  );
  return rows[0] ?? null;
}

/**
 * Returns dispatched jobs that no worker claimed for `seconds`: their notification may be lost (queue restarted empty, or
 * unavailable at the time). Notifying again is harmless. With `worker`, only jobs that it may claim.
 */
export async function staleDispatched(
  { sql }: Pick<Database, 'sql'>,
  options: { seconds: number; worker?: { id: string; capabilities: WorkerCapabilities | null } },
): Promise<Dispatch[]> {
  const { rows } = await sql.query<Dispatch>(
    Prisma.sql`SELECT id, lease_epoch AS epoch FROM jobs
     WHERE state = 'dispatched' AND dispatched_at < now() - make_interval(secs => ${options.seconds})
       ${options.worker ? Prisma.sql`AND ${canClaim(options.worker)}` : Prisma.empty} ORDER BY dispatched_at`,
  );
  return rows;
}

/**
 * dispatched → queued for jobs that no worker claimed for `seconds` and that no live worker can run: the capable worker is
 * gone, and these jobs would block slots for jobs that others can run. Returns their ids.
 */
export async function takeBackDispatched(
  { sql }: Pick<Database, 'sql'>,
  options: { seconds: number },
): Promise<string[]> {
  const { rows } = await sql.query<{ id: string }>(
    Prisma.sql`UPDATE jobs SET state = 'queued' WHERE state = 'dispatched' AND id IN (
       SELECT id FROM jobs
       WHERE state = 'dispatched' AND dispatched_at < now() - make_interval(secs => ${options.seconds})
         AND NOT EXISTS (SELECT 1 FROM workers WHERE ${acceptsJobs} AND ${canRun})
       FOR UPDATE SKIP LOCKED) RETURNING id`,
  );
  return rows.map(({ id }) => id);
}
