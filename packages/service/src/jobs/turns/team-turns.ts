/**
 * Fair shares: deficit round robin over teams by weight, kept as virtual time (docs/decisions/0014-fair-shares.md).
 *
 * - virtual time of a team: the units of work that it has had, divided by its weight; one who was away comes back at the clock.
 * - clock: the virtual time at which the last turn was taken.
 * - unit: what every piece of work costs at least, charged when it begins; what it takes beyond that is added while it runs,
 *   and charged when it ends.
 */
import type { Database, Transaction } from '../../database/database.ts';
import { isDatabaseAway } from '../../database/database-away.ts';
import { Prisma } from '../../generated/client.ts';
import type { AttemptKind, Job } from '../job.ts';

/** Seconds of a slot, or of a validating thread. */
const unitSeconds: Record<AttemptKind, number> = { training: 60, validation: 5 };

/**
 * Units beyond the clock with which a team comes out of one long piece of work at most: it had the machine while perhaps nobody
 * else wanted it, so that the others do not shut it out for as long.
 */
const mostOwed = 30;

/** SQL over a row of `jobs`: its place among its team's; as `jobs_live_idx` has it. */
export const rank = Prisma.sql`((jobs.created_at AT TIME ZONE 'UTC') - jobs.priority * interval '24 hours')`;

/** SQL over a row of `jobs`: its team has this under way. */
const isUnderWay: Record<AttemptKind, Prisma.Sql> = {
  training: Prisma.sql`jobs.state IN ('dispatched', 'running')`,
  validation: Prisma.sql`(jobs.state = 'validating' AND jobs.lease_until >= now())`,
};

/** SQL: of each team that has work under way how much, and the units that it has taken beyond those charged: `{team_id, jobs, surplus}`. */
export function atWork(kind: AttemptKind): Prisma.Sql {
  return Prisma.sql`
    SELECT jobs.team_id, count(*)::int AS jobs, sum(${unitsOver(kind, Prisma.sql`now()`)}) AS surplus
    FROM jobs LEFT JOIN job_attempts ON job_attempts.team_id = jobs.team_id AND job_attempts.job_id = jobs.id
      AND job_attempts.lease_epoch = jobs.lease_epoch AND job_attempts.kind = ${kind} AND job_attempts.ended_at IS NULL
    WHERE ${isUnderWay[kind]} GROUP BY jobs.team_id`;
}

/** SQL over a row of `job_attempts`: what it has taken until `end` beyond its first unit. */
function unitsOver(kind: AttemptKind, end: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`greatest(0, extract(epoch FROM ${end} - job_attempts.started_at)::float8 / ${unitSeconds[kind]}::float8 - 1)`;
}

/** SQL: joins `turns` to `teams` and `at_work`: `start`, the virtual time at which the team's next turn begins. */
export function turnsOf(kind: AttemptKind): Prisma.Sql {
  return Prisma.sql`CROSS JOIN LATERAL (
    SELECT greatest(clock.virtual_time,
      coalesce(own.virtual_time, 0) + coalesce(at_work.surplus, 0) / teams.weight) AS start
    FROM turn_clocks AS clock LEFT JOIN team_turns AS own ON own.team_id = teams.id AND own.kind = clock.kind
    WHERE clock.kind = ${kind}) AS turns`;
}

/** Charges the team for the first unit of a piece of work that begins. Answers the virtual time at which it does, for `advanceClock`. */
export async function takeTurn(tx: Transaction, teamId: string, kind: AttemptKind): Promise<number> {
  const [turn] = await tx.$queryRaw<{ start: number }[]>`
    WITH at_work AS (${atWork(kind)}), next AS (
      SELECT teams.id, teams.weight, turns.start, turns.start - coalesce(at_work.surplus, 0) / teams.weight AS charged
      FROM teams LEFT JOIN at_work ON at_work.team_id = teams.id ${turnsOf(kind)} WHERE teams.id = ${teamId}
    ), taken AS (
      INSERT INTO team_turns AS own (team_id, kind, virtual_time)
      SELECT id, ${kind}, charged + 1.0 / weight FROM next
      ON CONFLICT (team_id, kind) DO UPDATE SET virtual_time =
        -- Another process may have taken a turn of the team's meanwhile.
        greatest(excluded.virtual_time, own.virtual_time + 1.0 / (SELECT weight FROM next))
    )
    SELECT start FROM next`;
  return turn?.start ?? 0;
}

/**
 * After the turn's transaction, in a statement of its own: a lock of the one clock must not wait for whoever is frozen. The next turn
 * makes up for one that Postgres, away at this moment, has not heard of.
 */
export async function advanceClock(
  { sql }: Pick<Database, 'sql'>,
  kind: AttemptKind,
  start: number,
): Promise<void> {
  try {
    await sql.query('UPDATE turn_clocks SET virtual_time = $2 WHERE kind = $1 AND virtual_time < $2', [
      kind,
      start,
    ]);
  } catch (error) {
    if (!isDatabaseAway(error)) throw error;
  }
}

/**
 * Charges what an attempt took beyond its first unit. When a turn of the team is being taken at this moment it stays uncharged:
 * nobody's end of a job waits for that.
 */
export async function chargeAttempt(
  tx: Transaction,
  job: Pick<Job, 'id' | 'teamId'>,
  { kind, leaseEpoch }: { kind: AttemptKind; leaseEpoch: number },
): Promise<void> {
  const over = unitsOver(kind, Prisma.sql`job_attempts.ended_at`);
  await tx.$executeRaw`
    UPDATE team_turns AS own SET virtual_time = greatest(own.virtual_time,
        least(own.virtual_time + due.surplus / due.weight, due.clock + ${mostOwed}::float8))
    FROM (
      SELECT held.team_id, held.kind, teams.weight, ${over} AS surplus,
        (SELECT clock.virtual_time FROM turn_clocks AS clock WHERE clock.kind = held.kind) AS clock
      FROM team_turns AS held JOIN teams ON teams.id = held.team_id
      JOIN job_attempts ON job_attempts.team_id = held.team_id AND job_attempts.job_id = ${job.id}
        AND job_attempts.lease_epoch = ${leaseEpoch}
      WHERE held.team_id = ${job.teamId} AND held.kind = ${kind} AND ${over} > 0
      FOR UPDATE OF held SKIP LOCKED
    ) AS due WHERE own.team_id = due.team_id AND own.kind = due.kind`;
}
