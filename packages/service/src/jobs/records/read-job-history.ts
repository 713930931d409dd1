import type { Database } from '../../database/database.ts';
import { listRows, type Page, type PageOptions } from '../../database/read-page.ts';
import type { JobAttempt } from '../job.ts';
import { eventOf, type JobEvent } from './job-event.ts';

/** Lists events, newest first. Throws GraftError `invalid_cursor`. */
export async function listEvents(
  { db }: Database,
  teamId: string,
  jobId: string,
  options: PageOptions,
): Promise<Page<JobEvent>> {
  return await listRows(
    db.jobEvent,
    options,
    { where: { teamId }, filter: { jobId }, orderBy: { seq: 'desc' } },
    eventOf,
  );
}

/** Lists validation and training attempts by lease epoch: those after epoch `after`, at most `limit`. */
export async function listAttempts(
  { db }: Pick<Database, 'db'>,
  teamId: string,
  jobId: string,
  { after = 0, limit = 1000 }: { after?: number | undefined; limit?: number } = {},
): Promise<JobAttempt[]> {
  const rows = await db.jobAttempt.findMany({
    where: { teamId, jobId, leaseEpoch: { gt: after } },
    orderBy: { leaseEpoch: 'asc' },
    take: limit,
  });
  return rows.map(({ teamId: _team, jobId: _job, ...attempt }) => attempt as JobAttempt);
}
