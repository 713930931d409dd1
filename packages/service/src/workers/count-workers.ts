import { generationProtocol } from '../channel/protocol.ts';
import type { Database } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';
import { lives } from '../jobs/turns/can-claim.ts';

export interface WorkerCounts {
  /** Workers that are live and accept jobs. */
  ready: number;
  draining: number;
  quarantined: number;
  /** Workers without a heartbeat for a minute. */
  silent: number;
  /** Graft versions of live workers; null for a worker that did not report its version. */
  versions: (string | null)[];
  /** Live serving workers with another protocol than this process: they cannot answer its completions. */
  otherProtocol: number;
  /** Live serving workers of versions before protocol numbers: they may refuse completions. */
  unknownProtocol: number;
}

const serves = Prisma.sql`${lives} AND address IS NOT NULL`;

/** Counts workers by state: of silent, quarantined and draining, the first that applies; ready otherwise. */
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
