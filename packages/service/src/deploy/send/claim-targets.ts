import { randomUUID } from 'node:crypto';
import type { Database } from '../../database/database.ts';

/** A target that this process may change until the lease ends. */
export interface ClaimedTarget {
  teamId: string;
  id: string;
  token: string;
  /** As it was claimed: if it has changed, the target is due again. */
  generation: number;
  /** Whether its team was deleted: nothing is wanted then. */
  isTeamGone: boolean;
}

/**
 * Claims what is due, teams in turn and a few per team, so that a slow runtime does not delay other teams. The last `keptForOthers` of `count`
 * are given only to teams of which no target is being worked on: slow teams together do not take all either.
 */
export async function claimTargets(
  { sql }: Pick<Database, 'sql'>,
  {
    count,
    perTeam,
    keptForOthers,
    leaseSeconds,
  }: { count: number; perTeam: number; keptForOthers: number; leaseSeconds: number },
): Promise<ClaimedTarget[]> {
  const { rows } = await sql.query<ClaimedTarget>(
    `WITH leased AS MATERIALIZED (
       SELECT team_id, count(*) AS n FROM deploy_targets WHERE lease_until > now() GROUP BY 1
     ), due AS (
       SELECT id, next_attempt_at,
              row_number() OVER (PARTITION BY team_id ORDER BY next_attempt_at, id)
                + coalesce((SELECT n FROM leased WHERE leased.team_id = waiting.team_id), 0) AS turn
       FROM deploy_targets waiting
       WHERE next_attempt_at <= now() AND (lease_until IS NULL OR lease_until <= now())
         AND (state <> 'disabled' OR deleted_at IS NOT NULL)
     ), placed AS (
       SELECT *, row_number() OVER (ORDER BY turn, next_attempt_at, id) AS place FROM due WHERE turn <= $2
     ), taken AS (
       SELECT target.id FROM deploy_targets target JOIN placed USING (id)
       WHERE (turn = 1 OR place <= $5) AND (target.lease_until IS NULL OR target.lease_until <= now())
         AND (target.state <> 'disabled' OR target.deleted_at IS NOT NULL)
       ORDER BY place LIMIT $1 FOR UPDATE OF target SKIP LOCKED
     )
     UPDATE deploy_targets target SET lease_until = now() + make_interval(secs => $3), lease_token = $4
     FROM taken WHERE target.id = taken.id
     RETURNING target.team_id AS "teamId", target.id, target.lease_token AS token, target.generation,
       EXISTS (SELECT 1 FROM teams WHERE teams.id = target.team_id AND teams.deleted_at IS NOT NULL) AS "isTeamGone"`,
    [count, perTeam, leaseSeconds, randomUUID(), count - keptForOthers],
  );
  return rows;
}

/** Extends the lease. False: another process has it, or the target is gone. */
export async function renewTarget(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token }: ClaimedTarget,
  leaseSeconds: number,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `UPDATE deploy_targets SET lease_until = now() + make_interval(secs => $4)
     WHERE team_id = $1 AND id = $2 AND lease_token = $3`,
    [teamId, id, token, leaseSeconds],
  );
  return rowCount === 1;
}
