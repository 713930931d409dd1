import type { Database } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';
import { lives } from '../jobs/turns/may-take.ts';

export interface WorkerCounts {
  /** They live and take jobs. */
  ready: number;
  draining: number;
  quarantined: number;
  /** No sign of life for a minute. */
  silent: number;
  /** Of Graft that those that live are of; null: one that did not say. */
  versions: (string | null)[];
}

/** How many workers there are of each kind; one that is several is the last of them. */
export async function countWorkers({ sql }: Pick<Database, 'sql'>): Promise<WorkerCounts> {
  const { rows } = await sql.query<WorkerCounts>(Prisma.sql`
    SELECT count(*) FILTER (WHERE NOT ${lives})::int AS silent,
      count(*) FILTER (WHERE ${lives} AND quarantined_at IS NOT NULL)::int AS quarantined,
      count(*) FILTER (WHERE ${lives} AND quarantined_at IS NULL AND draining)::int AS draining,
      count(*) FILTER (WHERE ${lives} AND quarantined_at IS NULL AND NOT draining)::int AS ready,
      coalesce(array_agg(DISTINCT version) FILTER (WHERE ${lives}), '{}') AS versions
    FROM workers`);
  return rows[0]!;
}
