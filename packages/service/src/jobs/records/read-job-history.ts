import type { Database } from '../../database/database.ts';
import { type Page, readPage } from '../../database/read-page.ts';
import { type Checkpoint, checkpointColumns } from '../leases/checkpoint.ts';
import { type JobEvent, jobEventColumns } from './job-event.ts';
import type { JobMetric } from '../leases/job-metrics.ts';

/** Newest first. Throws GraftError `invalid_cursor`. */
export async function listEvents(
  db: Database,
  teamId: string,
  jobId: string,
  options: { after?: string | undefined; limit: number },
): Promise<Page<JobEvent>> {
  return await readPage<JobEvent>(db, teamId, {
    table: 'job_events',
    columns: jobEventColumns,
    filters: [{ sql: 'job_id =', value: jobId }],
    orderBy: 'seq',
    order: 'desc',
    ...options,
  });
}

/** Oldest first, those with `seq` greater than the given one: what an event stream reads on with. 0: from the start. */
export async function eventsAfter(
  db: Database,
  teamId: string,
  jobId: string,
  seq: number,
): Promise<JobEvent[]> {
  const { rows } = await db.sql.query<JobEvent>(
    `SELECT ${jobEventColumns} FROM job_events WHERE team_id = $1 AND job_id = $2 AND seq > $3 ORDER BY seq LIMIT 1000`,
    [teamId, jobId, seq],
  );
  return rows;
}

/** By descending step. Throws GraftError `invalid_cursor`. */
export async function listCheckpoints(
  db: Database,
  teamId: string,
  jobId: string,
  options: { after?: string | undefined; limit: number },
): Promise<Page<Checkpoint>> {
  return await readPage<Checkpoint>(db, teamId, {
    table: 'checkpoints',
    columns: checkpointColumns,
    filters: [{ sql: 'job_id =', value: jobId }],
    orderBy: 'step',
    order: 'desc',
    ...options,
  });
}

/** The whole series by step, or what follows `afterStep`. */
export async function listMetrics(
  db: Database,
  teamId: string,
  jobId: string,
  options: { afterStep?: number | undefined } = {},
): Promise<(JobMetric & { createdAt: Date })[]> {
  const { rows } = await db.sql.query<JobMetric & { createdAt: Date }>(
    `SELECT kind, step, epoch, loss, token_accuracy AS "tokenAccuracy", learning_rate AS "learningRate",
            grad_norm AS "gradNorm", tokens::float8 AS tokens, tokens_per_second AS "tokensPerSecond",
            created_at AS "createdAt"
     FROM job_metrics WHERE team_id = $1 AND job_id = $2 AND step > $3 ORDER BY step, kind`,
    [teamId, jobId, options.afterStep ?? -1],
  );
  return rows;
}
