/** Fair shares of exports: as for training (jobs/turns/team-turns.ts), with a unit of a minute of a worker's writer. */
import type { Transaction } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';
import { maxLag } from '../jobs/turns/team-turns.ts';

const unitSeconds = 60;

/** SQL over a row of `adapter_exports`: the units that its running attempt has used beyond the first. */
const unitsOver = Prisma.sql`greatest(0, extract(epoch FROM now() - started_at)::float8 / ${unitSeconds}::float8 - 1)`;

/** SQL: per team with exports that are being written, their number and the units used beyond those charged. */
export const exportsAtWork = Prisma.sql`
  SELECT team_id, count(*)::int AS jobs, sum(${unitsOver}) AS surplus
  FROM adapter_exports WHERE status = 'running' AND lease_until >= now() GROUP BY team_id`;

/**
 * Charges what the running attempt has used beyond its first unit; does nothing if none is running. Call it before the row changes. If a turn
 * of the team starts at the same moment, the units stay uncharged.
 */
export async function chargeExport(tx: Transaction, of: { id: string; teamId: string }): Promise<void> {
  await tx.$executeRaw`
    UPDATE team_turns AS own SET virtual_time = greatest(own.virtual_time,
        least(own.virtual_time + due.surplus / due.weight, due.clock + ${maxLag}::float8))
    FROM (
      SELECT held.team_id, teams.weight, ${unitsOver} AS surplus,
        (SELECT clock.virtual_time FROM turn_clocks AS clock WHERE clock.kind = held.kind) AS clock
      FROM team_turns AS held JOIN teams ON teams.id = held.team_id
      JOIN adapter_exports ON adapter_exports.team_id = held.team_id AND adapter_exports.id = ${of.id}
      WHERE held.team_id = ${of.teamId} AND held.kind = 'export' AND adapter_exports.status = 'running' AND ${unitsOver} > 0
      FOR UPDATE OF held SKIP LOCKED
    ) AS due WHERE own.team_id = due.team_id AND own.kind = 'export'`;
}
