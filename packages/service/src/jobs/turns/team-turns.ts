/**
 * Fair shares: deficit round robin over teams by weight, kept as virtual time (docs/decisions/0014-fair-shares.md).
 *
 * - virtual time of a team: the units of work that it has had, divided by its weight; a team that was idle returns at the clock.
 * - clock: the virtual time at which the last turn started.
 * - unit: the minimum cost of a piece of work, charged when it starts; its cost beyond that is added while it runs,
 *   and charged when it ends.
 */
import type { Database, Transaction } from '../../database/database.ts';
import { isDatabaseUnavailable } from '../../database/database-unavailable.ts';
import { Prisma } from '../../generated/client.ts';
import type { AttemptKind, Job } from '../job.ts';

export type TurnKind = AttemptKind | 'export';

/** Seconds of a slot, or of a validating thread, per unit. */
const unitSeconds: Record<AttemptKind, number> = { training: 60, validation: 5 };

/**
 * Maximum number of units beyond the clock that one long piece of work can leave a team with: the team may have used the machine while no
 * other team wanted it, so that the others must not shut it out for as long.
 */
export const maxLag = 30;

/** SQL over a row of `jobs`: its order among its team's jobs, as in `jobs_live_idx`. */
export const rank = Prisma.sql`((jobs.created_at AT TIME ZONE 'UTC') - jobs.priority * interval '24 hours')`;

/** SQL over a row of `jobs`: its team has this kind of work running. */
const isUnderWay: Record<AttemptKind, Prisma.Sql> = {
  training: Prisma.sql`jobs.state IN ('dispatched', 'running')`,
  validation: Prisma.sql`(jobs.state = 'validating' AND jobs.lease_until >= now())`,
};

/** SQL: per team with running work, the number of jobs and the units used beyond those charged: `{team_id, jobs, surplus}`. */
export function atWork(kind: AttemptKind): Prisma.Sql {
  return Prisma.sql`
    SELECT jobs.team_id, count(*)::int AS jobs, sum(${unitsOver(kind, Prisma.sql`now()`)}) AS surplus
    FROM jobs LEFT JOIN job_attempts ON job_attempts.team_id = jobs.team_id AND job_attempts.job_id = jobs.id
      AND job_attempts.lease_epoch = jobs.lease_epoch AND job_attempts.kind = ${kind} AND job_attempts.ended_at IS NULL
    WHERE ${isUnderWay[kind]} GROUP BY jobs.team_id`;
}

/** SQL over a row of `job_attempts`: the units that it used until `end` beyond its first. */
function unitsOver(kind: AttemptKind, end: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`greatest(0, extract(epoch FROM ${end} - job_attempts.started_at)::float8 / ${unitSeconds[kind]}::float8 - 1)`;
}

/** SQL: joins `turns` to `teams` and `at_work`; `start` is the virtual time at which the team's next turn starts. */
export function teamTurns(kind: TurnKind): Prisma.Sql {
  return Prisma.sql`CROSS JOIN LATERAL (
    SELECT greatest(clock.virtual_time,
      coalesce(own.virtual_time, 0) + coalesce(at_work.surplus, 0) / teams.weight) AS start
    FROM turn_clocks AS clock LEFT JOIN team_turns AS own ON own.team_id = teams.id AND own.kind = clock.kind
    WHERE clock.kind = ${kind}) AS turns`;
}

/**
 * Charges the team for the first unit of a piece of work that starts. Returns the virtual time of its start, for `advanceClock`. `running`:
 * SQL of the teams' running work of this kind, in the columns of `atWork`.
 */
export async function claimTurn(
  tx: Transaction,
  teamId: string,
  kind: TurnKind,
  running: Prisma.Sql,
): Promise<number> {
  const [turn] = await tx.$queryRaw<{ start: number }[]>`
    WITH at_work AS (${running}), next AS (
      SELECT teams.id, teams.weight, turns.start, turns.start - coalesce(at_work.surplus, 0) / teams.weight AS charged
      FROM teams LEFT JOIN at_work ON at_work.team_id = teams.id ${teamTurns(kind)} WHERE teams.id = ${teamId}
    ), taken AS (
      INSERT INTO team_turns AS own (team_id, kind, virtual_time)
      SELECT id, ${kind}, charged + 1.0 / weight FROM next
      ON CONFLICT (team_id, kind) DO UPDATE SET virtual_time =
        -- Another process may have used a turn of the team in the meantime.
        greatest(excluded.virtual_time, own.virtual_time + 1.0 / (SELECT weight FROM next))
    )
    SELECT start FROM next`;
  return turn?.start ?? 0;
}

/**
 * Advances the clock after the turn's transaction, in a separate statement: a lock on the only clock must not wait for a frozen process. If
 * Postgres is unavailable at this moment, the next turn makes up for it.
 */
export async function advanceClock(
  { sql }: Pick<Database, 'sql'>,
  kind: TurnKind,
  start: number,
): Promise<void> {
  try {
    await sql.query('UPDATE turn_clocks SET virtual_time = $2 WHERE kind = $1 AND virtual_time < $2', [
      kind,
      start,
    ]);
  } catch (error) {
    if (!isDatabaseUnavailable(error)) throw error;
  }
}

/**
 * Charges what an attempt used beyond its first unit. If a turn of the team starts at the same moment, the units stay uncharged:
 * the end of a job must not wait for that.
 */
export async function chargeAttempt(
  tx: Transaction,
  job: Pick<Job, 'id' | 'teamId'>,
  { kind, leaseEpoch }: { kind: AttemptKind; leaseEpoch: number },
): Promise<void> {
  const over = unitsOver(kind, Prisma.sql`job_attempts.ended_at`);
  await tx.$executeRaw`
    UPDATE team_turns AS own SET virtual_time = greatest(own.virtual_time,
        least(own.virtual_time + due.surplus / due.weight, due.clock + ${maxLag}::float8))
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
