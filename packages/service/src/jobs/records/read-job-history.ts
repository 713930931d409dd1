import type { Database } from '../../database/database.ts';
import { type Page, readPage } from '../../database/read-page.ts';
import type { JobAttempt } from '../job.ts';
import { type Checkpoint, checkpointOf } from '../leases/record-checkpoint.ts';
import { eventOf, type JobEvent } from './job-event.ts';

/** Lists events, newest first. Throws GraftError `invalid_cursor`. */
export async function listEvents(
  { db }: Database,
  teamId: string,
  jobId: string,
  options: { after?: string | undefined; limit: number },
): Promise<Page<JobEvent>> {
  return await readPage(options, {
    has: async (id) => await db.jobEvent.count({ where: { teamId, id } }),
    read: async (page) =>
      await db.jobEvent.findMany({ where: { teamId, jobId }, orderBy: { seq: 'desc' }, ...page }),
    toRecord: eventOf,
  });
}

/** Lists checkpoints by descending step. Throws GraftError `invalid_cursor`. */
export async function listCheckpoints(
  { db }: Database,
  teamId: string,
  jobId: string,
  options: { after?: string | undefined; limit: number },
): Promise<Page<Checkpoint>> {
  return await readPage(options, {
    has: async (id) => await db.checkpoint.count({ where: { teamId, id } }),
    read: async (page) =>
      await db.checkpoint.findMany({ where: { teamId, jobId }, orderBy: { step: 'desc' }, ...page }),
    toRecord: checkpointOf,
  });
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
