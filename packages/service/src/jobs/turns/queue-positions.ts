import type { Database } from '../../database/database.ts';
import { withSystemScope } from '../../database/database-scope.ts';
import { isDatabaseUnavailable } from '../../database/database-unavailable.ts';
import { Prisma } from '../../generated/client.ts';
import { acceptsJobs } from './can-claim.ts';
import { estimateStarts, type StartEstimate } from './estimate-starts.ts';
import { atWork, rank, teamTurns } from './team-turns.ts';

/** Milliseconds for which positions count as fresh, in general and for a job that they do not contain yet. */
const freshMs = 1_000;
const newcomerMs = 250;

/** Number of latest attempts that the estimate of slot durations uses. */
const maxDurations = 200;

/** The place of a queued job. */
export interface QueuePlace {
  /** 1 is next in the dispatcher's order. */
  position: number;
  /** Null if no job has run yet, or no worker accepts jobs. */
  start: StartEstimate | null;
}

/**
 * Returns the places of those given jobs that wait, if nothing changes until their turn, and when they should start. One query numbers
 * all waiting jobs, and serves every caller of this process for a second: a position may be that old.
 */
export type QueuePlaces = (ids: string[]) => Promise<Map<string, QueuePlace>>;

export function createQueuePlaces({ sql }: Pick<Database, 'sql'>): QueuePlaces {
  let readAt = Number.NEGATIVE_INFINITY;
  let last = new Map<string, QueuePlace>();
  let reading: Promise<void> | null = null;

  async function read(maxAgeMs: number): Promise<Map<string, QueuePlace>> {
    // One query at a time: on a busy server, where it takes seconds, one a second would take all connections.
    if (!reading && performance.now() - readAt > maxAgeMs) {
      readAt = performance.now();
      // Positions count the jobs of all teams; each caller receives only those of the jobs that it asks about.
      reading = withSystemScope(() => numberAll(sql))
        .then((places) => {
          last = places;
        })
        .catch((error: unknown) => {
          // A job is shown with an older place, or none, rather than not at all.
          if (!isDatabaseUnavailable(error)) throw error;
        })
        .finally(() => {
          reading = null;
        });
    }
    await reading;
    return last;
  }

  return async (ids) => {
    if (ids.length === 0) return new Map();
    let all = await read(freshMs);
    if (ids.some((id) => !all.has(id))) all = await read(newcomerMs);
    return new Map(ids.flatMap((id) => (all.has(id) ? [[id, all.get(id)!]] : [])));
  };
}

interface Outlook {
  /** Ids of all waiting jobs, in the order of their turns. */
  ids: string | null;
  /** Slots of live workers. */
  slots: number;
  /** Dispatched jobs that have no slot yet. */
  dispatched: number;
  /** Seconds that each running attempt has held its slot, and that it reports as remaining. */
  running: { held: number; left: number | null }[];
  /** Seconds that the latest attempts held their slots. */
  ran: number[];
}

async function numberAll(sql: Database['sql']): Promise<Map<string, QueuePlace>> {
  // One string instead of ten thousand rows takes the driver a tenth of the time.
  const { rows } = await sql.query<Outlook>(Prisma.sql`
    WITH at_work AS MATERIALIZED (${atWork('training')}), waiting AS (
      SELECT jobs.id, jobs.team_id, jobs.created_at,
        row_number() OVER (PARTITION BY jobs.team_id ORDER BY ${rank}, jobs.id) - 1 AS before
      FROM jobs WHERE jobs.state = 'queued'
    ), places AS (
      SELECT waiting.id, waiting.created_at, turns.start + waiting.before::float8 / teams.weight AS start,
        (coalesce(at_work.jobs, 0) + waiting.before)::float8 / teams.weight AS load
      FROM waiting JOIN (
        SELECT teams.id, teams.weight FROM teams WHERE teams.id IN (SELECT team_id FROM waiting)
      ) AS teams ON teams.id = waiting.team_id LEFT JOIN at_work ON at_work.team_id = teams.id ${teamTurns('training')}
    ), ran AS (
      SELECT greatest(0, extract(epoch FROM ended_at - started_at)::float8) AS seconds FROM job_attempts
      WHERE kind = 'training' AND outcome IN ('succeeded', 'failed', 'cancelled') ORDER BY ended_at DESC LIMIT ${maxDurations}
    )
    SELECT (SELECT string_agg(id, ' ' ORDER BY start, load, created_at, id) FROM places) AS ids,
      (SELECT coalesce(sum(slots), 0)::int FROM workers WHERE ${acceptsJobs}) AS slots,
      (SELECT count(*)::int FROM jobs WHERE state = 'dispatched') AS dispatched,
      (SELECT coalesce(json_agg(json_build_object(
         'held', extract(epoch FROM now() - coalesce(job_attempts.started_at, jobs.dispatched_at)),
         'left', (jobs.progress->>'secondsRemaining')::float8)), '[]')
       FROM jobs LEFT JOIN job_attempts ON job_attempts.team_id = jobs.team_id AND job_attempts.job_id = jobs.id
         AND job_attempts.lease_epoch = jobs.lease_epoch WHERE jobs.state = 'running') AS running,
      (SELECT coalesce(json_agg(seconds), '[]') FROM ran) AS ran`);
  const { ids, ...past } = rows[0]!;
  const waiting = ids?.split(' ') ?? [];
  const estimate = estimateStarts({ ...past, queued: waiting.length });
  return new Map(waiting.map((id, index) => [id, { position: index + 1, start: estimate(index + 1) }]));
}
