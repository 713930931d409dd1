import type { Database, Transaction } from '../../database/database.ts';
import { type Page, readPage } from '../../database/read-page.ts';
import { type Job, jobOf } from '../job.ts';

/** Null: no such job in this team. */
export async function getJob({ db }: { db: Transaction }, teamId: string, id: string): Promise<Job | null> {
  const row = await db.job.findUnique({ where: { teamId_id: { teamId, id } } });
  return row && jobOf(row);
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
