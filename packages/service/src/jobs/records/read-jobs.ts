import type { Database } from '../../database/database.ts';
import { type Page, readPage } from '../../database/read-page.ts';
import type { Job as JobRow } from '../../generated/client.ts';
import { type Job, jobOf } from '../job.ts';

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

/** Newest first. `metadata` keeps jobs that carry all its pairs. Throws GraftError `invalid_cursor`. */
export async function listJobs(
  { db }: Database,
  teamId: string,
  options: { after?: string | undefined; limit: number; metadata?: Record<string, string> | undefined },
): Promise<Page<Job>> {
  const pairs = Object.entries(options.metadata ?? {});
  return await readPage(options, {
    has: async (id) => await db.job.count({ where: { teamId, id } }),
    read: async (page) =>
      await db.job.findMany({
        where: { teamId, AND: pairs.map(([key, equals]) => ({ metadata: { path: [key], equals } })) },
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        ...page,
      }),
    toRecord: jobOf,
  });
}
