/** Who is next, decided in SQL: teams take turns by their weights (team-turns.ts), and each team's jobs by priority and age. */
import type { Database } from '../../database/database.ts';
import { isDatabaseAway, isRowLocked } from '../../database/database-away.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import type { Dispatch } from '../../queue/job-queue.ts';
import type { WorkerCapabilities } from '../turns/may-take.ts';
import { canRun, mayTake, takesJobs } from '../turns/may-take.ts';
import { advanceClock, atWork, rank, takeTurn, turnsOf } from '../turns/team-turns.ts';
import type { JobFaultListener } from './change-job.ts';

/**
 * queued → dispatched, lease epoch + 1, for as many jobs as the living workers may have waiting: at most two per
 * slot dispatched or running, so that order is decided here and not by the queue. Next is always the first job of
 * the team whose turn it is and that is below its running limit, among those that a living worker can run; of
 * jobs with the same requirements no more are out than two per slot that meets them. A job that another transaction has
 * locked is left for the next pass, and so are all of a team that is locked, and one that cannot be changed, which `onFault`
 * hears of. `onLease` is told of each at once: ring the queue for it.
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
      // An attempt of the team's is ending, and its process is frozen.
      if (isRowLocked(error)) return 'team locked' as const;
      if (isDatabaseAway(error)) throw error;
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
       SELECT 2 * (SELECT coalesce(sum(slots), 0) FROM workers WHERE ${takesJobs})
              - (SELECT coalesce(sum(jobs), 0) FROM at_work) AS jobs
     )
     SELECT next.id, teams.id AS "teamId" FROM teams LEFT JOIN at_work ON at_work.team_id = teams.id
     ${turnsOf('training')} CROSS JOIN LATERAL (
       SELECT jobs.id, jobs.created_at FROM jobs
       WHERE jobs.team_id = teams.id AND jobs.state = 'queued' AND jobs.run_after <= now()
         AND jobs.id <> ALL(${passedOver.jobs})
         AND 2 * (SELECT sum(slots) FROM workers WHERE ${takesJobs} AND ${canRun})
             > CASE WHEN jobs.requirements IS NULL THEN 0 ELSE (
                 SELECT count(*) FROM jobs AS alike WHERE alike.state IN ('dispatched', 'running')
                   AND alike.requirements = jobs.requirements) END
       ORDER BY ${rank}, jobs.id LIMIT 1
     ) AS next
     WHERE teams.id <> ALL(${passedOver.teams}) AND (SELECT jobs FROM room) > 0
       AND ${mayHaveMore(Prisma.sql`coalesce(at_work.jobs, 0)`)}
     ORDER BY turns.start, coalesce(at_work.jobs, 0)::float8 / teams.weight, next.created_at, next.id LIMIT 1`,
  );
  return rows[0] ?? null;
}

/** SQL over a row of `teams`: with so many jobs dispatched or running it may have one more. */
const mayHaveMore = (jobs: Prisma.Sql): Prisma.Sql => Prisma.sql`(${jobs} < teams.running_limit)`;

/**
 * Null: it is locked or queued no more, or its team is at its limit. One at a time for each team: two dispatchers that
 * counted at the same moment would go beyond the limit.
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
        AND EXISTS (SELECT 1 FROM teams WHERE teams.id = jobs.team_id AND ${mayHaveMore(Prisma.sql`(
          SELECT count(*) FROM jobs AS others WHERE others.team_id = jobs.team_id AND others.state IN ('dispatched', 'running'))`)})
      RETURNING id, lease_epoch AS epoch`;
    return lease ? { lease, start: await takeTurn(tx, teamId, 'training') } : null;
  });
  if (dispatched === null || dispatched === 'team locked') return dispatched;
  await advanceClock(db, 'training', dispatched.start);
  return dispatched.lease;
}

/**
 * The dispatched job that a worker with a free slot should claim, whichever it was rung for: one of the team that has the fewest
 * running for its weight, of these the one dispatched first. So a team that has just come need not wait until all that was
 * dispatched before has begun. Null: there is none for it, besides those that it passes over.
 */
export async function firstDispatched(
  { sql }: Pick<Database, 'sql'>,
  worker: { id: string; capabilities: WorkerCapabilities | null },
  passedOver: string[] = [],
): Promise<Dispatch | null> {
  const { rows } = await sql.query<Dispatch>(
    Prisma.sql`SELECT jobs.id, jobs.lease_epoch AS epoch FROM jobs JOIN teams ON teams.id = jobs.team_id
     WHERE jobs.state = 'dispatched' AND jobs.id <> ALL(${passedOver}) AND ${mayTake(worker)}
     ORDER BY (SELECT count(*) FROM jobs AS running WHERE running.state = 'running' AND running.team_id = jobs.team_id)::float8
       / teams.weight, jobs.dispatched_at, jobs.id LIMIT 1`,
  );
  return rows[0] ?? null;
}

/**
 * Dispatched jobs that nobody claimed for `seconds`: their bell may be lost (queue restarted empty, or down when it
 * should have rung). Ringing again is harmless. With `worker`, only those that it may take.
 */
export async function staleDispatched(
  { sql }: Pick<Database, 'sql'>,
  options: { seconds: number; worker?: { id: string; capabilities: WorkerCapabilities | null } },
): Promise<Dispatch[]> {
  const { rows } = await sql.query<Dispatch>(
    Prisma.sql`SELECT id, lease_epoch AS epoch FROM jobs
     WHERE state = 'dispatched' AND dispatched_at < now() - make_interval(secs => ${options.seconds})
       ${options.worker ? Prisma.sql`AND ${mayTake(options.worker)}` : Prisma.empty} ORDER BY dispatched_at`,
  );
  return rows;
}

/**
 * dispatched → queued for those that nobody claimed for `seconds` and that no living worker can run: the one that could is
 * gone, and they would keep the room of jobs that others can run. Answers their ids.
 */
export async function takeBackDispatched(
  { sql }: Pick<Database, 'sql'>,
  options: { seconds: number },
): Promise<string[]> {
  const { rows } = await sql.query<{ id: string }>(
    Prisma.sql`UPDATE jobs SET state = 'queued' WHERE state = 'dispatched' AND id IN (
       SELECT id FROM jobs
       WHERE state = 'dispatched' AND dispatched_at < now() - make_interval(secs => ${options.seconds})
         AND NOT EXISTS (SELECT 1 FROM workers WHERE ${takesJobs} AND ${canRun})
       FOR UPDATE SKIP LOCKED) RETURNING id`,
  );
  return rows.map(({ id }) => id);
}
