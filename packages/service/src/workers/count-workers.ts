import { generationProtocol } from '../channel/protocol.ts';
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
  /** Those that live, serve, and speak another protocol than this process: they answer no completions of it. */
  otherProtocol: number;
  /** Those that live and serve, and are of a version before that number: they may refuse completions. */
  unknownProtocol: number;
}

const serves = Prisma.sql`${lives} AND address IS NOT NULL`;

/** How many workers there are of each kind; one that is several is the last of them. */
export async function countWorkers({ sql }: Pick<Database, 'sql'>): Promise<WorkerCounts> {
  const { rows } = await sql.query<WorkerCounts>(Prisma.sql`
    SELECT count(*) FILTER (WHERE NOT ${lives})::int AS silent,
      count(*) FILTER (WHERE ${lives} AND quarantined_at IS NOT NULL)::int AS quarantined,
      count(*) FILTER (WHERE ${lives} AND quarantined_at IS NULL AND draining)::int AS draining,
      count(*) FILTER (WHERE ${lives} AND quarantined_at IS NULL AND NOT draining)::int AS ready,
      coalesce(array_agg(DISTINCT version) FILTER (WHERE ${lives}), '{}') AS versions,
      count(*) FILTER (WHERE ${serves} AND protocol <> ${generationProtocol})::int AS "otherProtocol",
      count(*) FILTER (WHERE ${serves} AND protocol IS NULL)::int AS "unknownProtocol"
    FROM workers`);
  return rows[0]!;
}
