import type { Database } from '../../database/database.ts';
import { createdIn, type Page, readPage, type TimeSpan } from '../../database/read-page.ts';
import type { Job as JobRow } from '../../generated/client.ts';
import { type Job, jobOf, jobStates, type WireStatus, wireStatus } from '../job.ts';

/** Null: no such job in this team. Clients poll it, so past Prisma, which takes four times as long. */
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
  status?: WireStatus | undefined;
  /** Catalogue id of the base model. */
  model?: string | undefined;
  /** Jobs that carry all of these pairs. */
  metadata?: Record<string, string> | undefined;
  created?: TimeSpan;
}

/** Newest first. Throws GraftError `invalid_cursor`. */
export async function listJobs(
  { db }: Database,
  teamId: string,
  options: JobFilter & { after?: string | undefined; limit: number },
): Promise<Page<Job>> {
  const { status, model, metadata = {}, created } = options;
  const filter = {
    ...(status !== undefined && { state: { in: jobStates.filter((state) => wireStatus(state) === status) } }),
    ...(model !== undefined && { model }),
    ...createdIn(created),
    AND: Object.entries(metadata).map(([key, value]) => ({ pairs: { some: { teamId, key, value } } })),
  };
  return await readPage(options, {
    has: async (id) => await db.job.count({ where: { teamId, id } }),
    read: async (page) =>
      await db.job.findMany({
        where: { teamId, ...filter },
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        ...page,
      }),
    toRecord: jobOf,
  });
}
