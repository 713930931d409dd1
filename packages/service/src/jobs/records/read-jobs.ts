import type { JobStatus } from '@graft/wire/lists';
import type { Database } from '../../database/database.ts';
import { createdIn, listRows, type Page, type PageOptions, type TimeSpan } from '../../database/read-page.ts';
import type { Job as JobRow } from '../../generated/client.ts';
import { jobsWithin, type ModelLimit } from '../../keys/model-limit.ts';
import { isTerminal, type Job, type JobState, jobOf, jobStates, wireStatus } from '../job.ts';

/** Returns null if the team has no such job. Clients poll it, so it avoids Prisma, which takes four times as long. */
export async function getJob(
  { sql }: Pick<Database, 'sql'>,
  teamId: string,
  id: string,
): Promise<Job | null> {
  const { rows } = await sql.query<Record<string, unknown>>(
    'SELECT * FROM jobs WHERE team_id = $1 AND id = $2',
    [teamId, id],
  );
  if (!rows[0]) return null;
  const row = Object.fromEntries(
    Object.entries(rows[0]).map(([column, value]) => [camelCase(column), value]),
  );
  return jobOf(row as unknown as JobRow);
}

function camelCase(column: string): string {
  return column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

export interface JobFilter {
  status?: JobStatus | undefined;
  /** Catalogue id of the base model. */
  model?: string | undefined;
  /** Jobs that carry all of these pairs. */
  metadata?: Record<string, string> | undefined;
  /** Id of a person or a key. */
  createdBy?: string | undefined;
  /** Part of the id, the suffix, the model or the name of the fine-tuned model, case-insensitive. */
  search?: string | undefined;
  created?: TimeSpan;
  models?: ModelLimit;
}

/** Lists jobs, newest first. Throws GraftError `invalid_cursor`. */
export async function listJobs(
  { db }: Database,
  teamId: string,
  options: JobFilter & PageOptions,
): Promise<Page<Job>> {
  const { status, model, metadata = {}, createdBy, search, created, models = null } = options;
  const has = { contains: search ?? '', mode: 'insensitive' as const };
  const filter = {
    ...(status !== undefined && { state: { in: jobStates.filter((state) => wireStatus(state) === status) } }),
    ...(model !== undefined && { model }),
    ...createdIn(created),
    AND: [
      ...Object.entries(metadata).map(([key, value]) => ({ pairs: { some: { teamId, key, value } } })),
      ...(createdBy === undefined
        ? []
        : [{ OR: [{ personId: createdBy }, { keyId: createdBy, personId: null }] }]),
      ...(search === undefined
        ? []
        : [{ OR: [{ id: has }, { suffix: has }, { model: has }, { fineTunedModel: has }] }]),
    ],
  };
  return await listRows(db.job, options, { where: { teamId, AND: [jobsWithin(models)] }, filter }, jobOf);
}

/** Fields that a poll reads of a job, without its options, which may have some 200 kB. */
export interface JobVersion {
  id: string;
  state: JobState;
  createdAt: Date;
  /** Changes with every write of the job's row. */
  version: string;
}

/** Lists a team's unfinished jobs, those created since `since`, and those in `ids`; newest first, at most `limit`. */
export async function listJobsUnderWay(
  { sql }: Pick<Database, 'sql'>,
  teamId: string,
  { ids, since, limit }: { ids: string[]; since: Date; limit: number },
): Promise<JobVersion[]> {
  const live = jobStates.filter((state) => !isTerminal(state));
  const { rows } = await sql.query<JobVersion>(
    `SELECT id, state, created_at AS "createdAt", xmin::text AS version FROM jobs
     WHERE team_id = $1 AND (state = ANY($2) OR created_at >= $3 OR id = ANY($4)) ORDER BY created_at DESC, id DESC LIMIT $5`,
    [teamId, live, since, ids, limit],
  );
  return rows;
}

/** Reads a few of a team's jobs, in no particular order. */
export async function readJobs({ db }: Pick<Database, 'db'>, teamId: string, ids: string[]): Promise<Job[]> {
  return (await db.job.findMany({ where: { teamId, id: { in: ids } } })).map(jobOf);
}
