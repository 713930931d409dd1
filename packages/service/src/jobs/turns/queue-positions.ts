import type { Database } from '../../database/database.ts';
import { withSystemScope } from '../../database/database-scope.ts';
import { isDatabaseUnavailable } from '../../database/database-unavailable.ts';
import { Prisma } from '../../generated/client.ts';
import { acceptsJobs } from './can-claim.ts';
import { atWork, rank, teamTurns } from './team-turns.ts';

/** Milliseconds for which positions count as fresh, in general and for a job that they do not contain yet. */
const freshMs = 1_000;
const newcomerMs = 250;

/** Number of latest attempts that the estimate of slot durations uses. */
const maxDurations = 200;

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

/** Estimates when a waiting job starts: simulates the queue many times with durations of past jobs. */

/** Seconds from now. */
interface StartEstimate {
  /** The job has started by then in half of the simulations. */
  median: number;
  /** The job has started by then in nine of ten simulations. */
  late: number;
}

/** The simulation takes the API's event loop a few milliseconds; places beyond `maxPlaces` are extrapolated at the same pace. */
const rounds = 40;
const maxPlaces = 500;

interface SlotHistory {
  slots: number;
  /** Jobs ahead of the first waiting job. */
  dispatched: number;
  /** Number of places to estimate. */
  queued: number;
  /** Seconds that each running job has held its slot, and that it reports as remaining; null if it reports none. */
  running: { held: number; left: number | null }[];
  /** Seconds that past jobs held their slots. */
  ran: number[];
}

/**
 * Estimates starts by place in the queue, from 1. Each simulation draws the duration of every job ahead from past jobs, and gives each
 * slot that becomes free to the next job. The rest of a running job is what it reports, or else drawn from past jobs that took longer
 * than it has so far. Returns null without past jobs or slots. The draws are the same at each call, so that an estimate does not flicker.
 */
export function estimateStarts(history: SlotHistory): (place: number) => StartEstimate | null {
  const { slots, dispatched, queued, ran } = history;
  if (ran.length === 0 || slots === 0) return () => null;
  const sorted = ran.toSorted((a, b) => a - b);
  const places = Math.min(queued, maxPlaces);
  const starts: number[][] = Array.from({ length: places }, () => []);
  for (let round = 0; round < rounds; round++) {
    const draw = createDraw(round);
    const free = freeTimes(history, sorted, draw);
    for (let place = 1 - dispatched; place <= places; place++) {
      // The slot that is free first takes the job.
      const at = free.shift()!;
      insert(free, at + pick(sorted, draw()));
      if (place >= 1) starts[place - 1]!.push(at);
    }
  }
  const estimates = starts.map((times) => {
    times.sort((a, b) => a - b);
    return { median: pick(times, 0.5), late: pick(times, 0.9) };
  });
  const pace = sorted.reduce((sum, seconds) => sum + seconds, 0) / sorted.length / slots;
  return (place) => {
    const known = estimates[Math.min(place, places) - 1];
    if (!known) return null;
    const beyond = Math.max(0, place - places) * pace;
    return { median: known.median + beyond, late: known.late + beyond };
  };
}

/** Returns when each slot is free for another job, ascending. */
function freeTimes({ slots, running }: SlotHistory, sorted: number[], draw: () => number): number[] {
  const free: number[] = [];
  for (const { held, left } of running.slice(0, slots)) {
    const longer = sorted.filter((seconds) => seconds > held);
    // A job that has taken longer than all past jobs may take up to as long again.
    const rest = longer.length > 0 ? pick(longer, draw()) - held : held * draw();
    insert(free, left ?? rest);
  }
  while (free.length < slots) free.unshift(0);
  return free;
}

/** Puts `time` into the ascending `times`. */
function insert(times: number[], time: number): void {
  let low = 0;
  for (let high = times.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= time) low = middle + 1;
    else high = middle;
  }
  times.splice(low, 0, time);
}

/** Returns the quantile `q` of the ascending `values`. */
function pick(values: number[], q: number): number {
  return values[Math.min(values.length - 1, Math.floor(q * values.length))]!;
}

/** Returns a generator of numbers in [0, 1): mulberry32. */
function createDraw(seed: number): () => number {
  let state = (seed + 1) * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
