import type { Database } from '../../database/database.ts';
import { type Page, readPage } from '../../database/read-page.ts';
import { type Job, jobColumns } from '../job.ts';

/** Null: no such job in this team. */
export async function getJob(db: Database, teamId: string, id: string): Promise<Job | null> {
  const { rows } = await db.sql.query<Job>(`SELECT ${jobColumns} FROM jobs WHERE team_id = $1 AND id = $2`, [
    teamId,
    id,
  ]);
  return rows[0] ?? null;
}

/** Newest first. `metadata` keeps jobs that carry all its pairs. Throws GraftError `invalid_cursor`. */
export async function listJobs(
  db: Database,
  teamId: string,
  options: { after?: string | undefined; limit: number; metadata?: Record<string, string> | undefined },
): Promise<Page<Job>> {
  const filters = options.metadata ? [{ sql: 'metadata @>', value: JSON.stringify(options.metadata) }] : [];
  return await readPage<Job>(db, teamId, {
    table: 'jobs',
    columns: jobColumns,
    filters,
    order: 'desc',
    ...options,
  });
}

/**
 * Where a queued job stands: 1 is next. The order of the fair dispatcher were nothing to change: teams take turns,
 * those with fewer jobs at work first. Null for a job that is not queued.
 */
export async function queuePosition(db: Database, teamId: string, id: string): Promise<number | null> {
  const { rows } = await db.sql.query<{ position: number }>(
    `WITH at_work AS (
       SELECT team_id, count(*) AS jobs FROM jobs WHERE state IN ('dispatched', 'running') GROUP BY team_id
     ), turns AS (
       SELECT jobs.team_id, jobs.id, jobs.created_at, coalesce(at_work.jobs, 0)
              + row_number() OVER (PARTITION BY jobs.team_id ORDER BY jobs.created_at, jobs.id) AS turn
       FROM jobs LEFT JOIN at_work ON at_work.team_id = jobs.team_id WHERE jobs.state = 'queued'
     ), places AS (
       SELECT team_id, id, row_number() OVER (ORDER BY turn, created_at, id)::int AS position FROM turns
     )
     SELECT position FROM places WHERE team_id = $1 AND id = $2`,
    [teamId, id],
  );
  return rows[0]?.position ?? null;
}
