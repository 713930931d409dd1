import type { Database } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';
import type { WorkerCapabilities } from '../jobs/turns/may-take.ts';
import { takesJobs } from '../jobs/turns/may-take.ts';

/** Workers with identical capabilities. */
export interface LiveMachine {
  /** Null if the workers report none. */
  capabilities: WorkerCapabilities | null;
  workers: number;
}

/** Maximum number of kinds listed; beyond that, those with the least memory are left out. */
const mostKinds = 32;

/** Lists capabilities of live workers that accept jobs: first those without a known memory limit, then by descending limit. */
export async function liveMachines({ sql }: Pick<Database, 'sql'>): Promise<LiveMachine[]> {
  const { rows } = await sql.query<LiveMachine>(
    Prisma.sql`SELECT capabilities, count(*)::int AS workers FROM workers WHERE ${takesJobs}
      GROUP BY capabilities ORDER BY (capabilities->>'memoryBytes')::float8 DESC NULLS FIRST LIMIT ${mostKinds}`,
  );
  return rows;
}
