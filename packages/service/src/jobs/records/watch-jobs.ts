/** Reads what all open event streams wait for, in one statement. Plain SQL, without Prisma for speed. */
import type { Database } from '../../database/database.ts';
import { withSystemScope } from '../../database/database-scope.ts';
import { isTerminal, type JobState } from '../job.ts';
import type { JobEvent } from './job-event.ts';

/** A job, and the `seq` of the last of its events that a reader has seen; 0 for none. */
export interface WatchedJob {
  teamId: string;
  jobId: string;
  seq: number;
}

export interface JobChange {
  /** Oldest first. */
  events: JobEvent[];
  more: boolean;
  /** The job has ended or was deleted, and there are no further events. */
  finished: boolean;
}

const maxEvents = 100;

type Row = { place: number; state: JobState | null } & (
  | { id: null }
  | (Omit<JobEvent, 'seq'> & { id: string; seq: string })
);

/**
 * Returns the events of each job after the last one seen, and whether the job has ended, in the order of `watched`. One snapshot serves
 * all jobs, so that a finished job's last events are returned together with its end. The jobs may belong to many teams.
 */
export async function readJobChanges({ sql }: Database, watched: WatchedJob[]): Promise<JobChange[]> {
  const { rows } = await withSystemScope(() =>
    sql.query<Row>(
      `SELECT w.place::int AS place, j.state, e.id, e.seq, e.job_id AS "jobId", e.level, e.type, e.message, e.data,
            e.created_at AS "createdAt"
     FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS w(team_id, job_id, seq, place)
     LEFT JOIN jobs j ON j.team_id = w.team_id AND j.id = w.job_id
     LEFT JOIN LATERAL (
       SELECT * FROM job_events
       WHERE team_id = w.team_id AND job_id = w.job_id AND seq > w.seq ORDER BY seq LIMIT ${maxEvents}
     ) e ON true
     ORDER BY w.place, e.seq`,
      [watched.map(({ teamId }) => teamId), watched.map(({ jobId }) => jobId), watched.map(({ seq }) => seq)],
    ),
  );
  const news: JobChange[] = watched.map(() => ({ events: [], more: false, finished: true }));
  for (const { place, state, ...event } of rows) {
    const of = news[place - 1]!;
    of.finished = state === null || isTerminal(state);
    if (event.id !== null) of.events.push({ ...event, seq: Number(event.seq) });
  }
  for (const each of news) {
    each.more = each.events.length === maxEvents;
    if (each.more) each.finished = false;
  }
  return news;
}
