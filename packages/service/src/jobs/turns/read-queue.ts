import type { Database } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import { acceptsJobs } from './can-claim.ts';
import { atWork, teamTurns } from './team-turns.ts';

/** Maximum number of teams listed; beyond that, the teams whose turns are last are left out. */
const maxTeams = 1000;

export interface TeamInQueue {
  id: string;
  name: string;
  weight: number;
  runningLimit: number;
  validating: number;
  queued: number;
  dispatched: number;
  running: number;
  paused: number;
  /** Since when the job that has waited longest could run; null if none waits. */
  waitingSince: Date | null;
  /** Units of virtual time from the clock to the start of its next turn: 0 is next. */
  ahead: number;
}

export interface Queue {
  /** Slots of live workers that accept jobs. */
  slots: number;
  /** Teams with unfinished jobs, the team whose turn is next first. */
  teams: TeamInQueue[];
}

/** Reads the queue of all teams by fair turns (docs/fairness.md): counts per team, without the jobs' names. */
export async function readQueue({ sql }: Pick<Database, 'sql'>): Promise<Queue> {
  const count = (state: string) => Prisma.sql`count(*) FILTER (WHERE state = ${state})::int`;
  const [slots, teams] = await Promise.all([
    sql.query<{ slots: number }>(
      Prisma.sql`SELECT coalesce(sum(slots), 0)::int AS slots FROM workers WHERE ${acceptsJobs}`,
    ),
    sql.query<TeamInQueue>(Prisma.sql`
      WITH at_work AS MATERIALIZED (${atWork('training')}), live AS MATERIALIZED (
        SELECT team_id, ${count('validating')} AS validating, ${count('queued')} AS queued,
          ${count('dispatched')} AS dispatched, ${count('running')} AS running, ${count('paused')} AS paused,
          min(run_after) FILTER (WHERE state IN ('queued', 'dispatched')) AS since
        FROM jobs WHERE state IN ('validating', 'queued', 'dispatched', 'running', 'paused') GROUP BY team_id
      )
      SELECT teams.id, teams.name, teams.weight, teams.running_limit AS "runningLimit", live.validating, live.queued,
        live.dispatched, live.running, live.paused, live.since AS "waitingSince",
        greatest(0, turns.start - (SELECT virtual_time FROM turn_clocks WHERE kind = 'training')) AS ahead
      FROM live JOIN teams ON teams.id = live.team_id LEFT JOIN at_work ON at_work.team_id = teams.id ${teamTurns('training')}
      ORDER BY live.queued = 0, ahead, (live.running + live.dispatched)::float8 / teams.weight, teams.name
      LIMIT ${maxTeams}`),
  ]);
  return { slots: slots.rows[0]!.slots, teams: teams.rows };
}
