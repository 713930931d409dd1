/** Gauges that are read from Postgres and the queue at each scrape. */
import type { Database } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { FencedPool } from '../database/fenced-pool.ts';
import type { JobQueue } from '../queue/job-queue.ts';
import { gauge } from './instruments.ts';

const jobs = gauge('graft_jobs', 'Jobs that are not over, by state. Every API process reports the same.', [
  'state',
]);
const teamJobs = gauge('graft_team_jobs', 'The same of each team, where GRAFT_METRICS_BY_TEAM allows it.', [
  'team',
  'state',
]);
const oldestQueued = gauge(
  'graft_jobs_oldest_queued_seconds',
  'How long the job that waits longest could have run already; 0 when none waits.',
);
const oldestValidating = gauge(
  'graft_jobs_oldest_validating_seconds',
  'Age of the oldest job whose files are not validated yet; 0 when there is none.',
);
const workers = gauge(
  'graft_workers',
  'Registered workers: ready, draining, quarantined, or silent for a minute.',
  ['state'],
);
const slots = gauge('graft_worker_slots', 'Training slots of ready workers: all of them, and those in use.', [
  'state',
]);
const databaseUp = gauge(
  'graft_database_up',
  '1 when Postgres answered this scrape in time, else 0; the gauges of jobs and workers are then absent.',
);
const queueUp = gauge('graft_queue_up', '1 when the queue answered this scrape in time, else 0.');
const pool = gauge(
  'graft_pg_pool_connections',
  "Connections of this process's pool in use and idle, and requests that wait for one.",
  ['state'],
);

const liveStates = ['validating', 'queued', 'dispatched', 'running', 'paused'];
const patienceMs = 2_000;

interface Row {
  state: string;
  team: string | null;
  count: number;
  oldest: number | null;
}

interface Sources extends Pick<Database, 'sql'> {
  queue: Pick<JobQueue, 'depth'>;
  env: { metricsByTeam: boolean };
}

/** Reads the connection pool of this process, without a query. */
export function readPoolGauges({ sql }: Pick<Database, 'sql'>): void {
  pool.set({ state: 'in_use' }, sql.totalCount - sql.idleCount);
  pool.set({ state: 'idle' }, sql.idleCount);
  pool.set({ state: 'waiting' }, sql.waitingCount + (sql instanceof FencedPool ? sql.waitingWriters : 0));
}

/** Never throws: a service that does not respond within two seconds counts as down, and its gauges are absent. */
export async function readServiceGauges(services: Sources): Promise<void> {
  const [database, queue] = await Promise.all([
    inTime(withSystemScope(() => readDatabase(services))),
    inTime(services.queue.depth()),
  ]);
  databaseUp.set(database === null ? 0 : 1);
  queueUp.set(queue === null ? 0 : 1);
  for (const gauge of [jobs, teamJobs, workers, slots]) gauge.reset();
  oldestQueued.remove();
  oldestValidating.remove();
  if (database === null) return;

  for (const state of liveStates) jobs.set({ state }, 0);
  let queuedFor = 0;
  let validatingFor = 0;
  for (const { state, team, count, oldest } of database.jobs) {
    jobs.inc({ state }, count);
    if (services.env.metricsByTeam && team) teamJobs.set({ team, state }, count);
    if (state === 'queued') queuedFor = Math.max(queuedFor, oldest ?? 0);
    if (state === 'validating') validatingFor = Math.max(validatingFor, oldest ?? 0);
  }
  oldestQueued.set(queuedFor);
  oldestValidating.set(validatingFor);
  for (const [state, count] of Object.entries(database.workers.states)) workers.set({ state }, count);
  slots.set({ state: 'all' }, database.workers.slots);
  slots.set({ state: 'in_use' }, database.workers.running);
}

async function readDatabase({ sql, env }: Sources) {
  // Short statements over partial indexes: finished jobs are not counted.
  const team = env.metricsByTeam ? 'team_id' : 'NULL::text';
  const { rows } = await sql.query<Row>(
    `SELECT state, ${team} AS team, count(*)::int AS count,
            extract(epoch FROM now() - min(CASE state WHEN 'queued' THEN greatest(run_after, created_at)
                                                      ELSE created_at END))::float8 AS oldest
     FROM jobs WHERE state IN ('validating', 'queued', 'dispatched', 'running') GROUP BY 1, 2
     UNION ALL
     SELECT state, ${team} AS team, count(*)::int, NULL FROM jobs WHERE state = 'paused' GROUP BY 1, 2`,
  );
  const found = await sql.query<{ state: string; count: number; slots: number; running: number }>(
    `SELECT CASE WHEN heartbeat_at < now() - interval '60 seconds' THEN 'silent'
                 WHEN quarantined_at IS NOT NULL THEN 'quarantined'
                 WHEN draining THEN 'draining' ELSE 'ready' END AS state,
            count(*)::int AS count, sum(slots)::int AS slots, sum(running)::int AS running
     FROM workers GROUP BY 1`,
  );
  const states: Record<string, number> = { ready: 0, draining: 0, quarantined: 0, silent: 0 };
  for (const { state, count } of found.rows) states[state] = count;
  const ready = found.rows.find(({ state }) => state === 'ready');
  return { jobs: rows, workers: { states, slots: ready?.slots ?? 0, running: ready?.running ?? 0 } };
}

async function inTime<T>(work: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), patienceMs);
  });
  return await Promise.race([work.catch(() => null), late]).finally(() => clearTimeout(timer));
}
