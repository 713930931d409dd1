import type { Database } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';
import type { WorkerCapabilities } from '../jobs/turns/can-claim.ts';
import { acceptsJobs } from '../jobs/turns/can-claim.ts';

/** Workers with identical capabilities. */
export interface LiveMachine {
  /** Null if the workers report none. */
  capabilities: WorkerCapabilities | null;
  workers: number;
}

/** Maximum number of kinds listed; beyond that, those with the least memory are left out. */
const maxKinds = 32;

/** Lists capabilities of live workers that accept jobs: first those without a known memory limit, then by descending limit. */
export async function liveMachines({ sql }: Pick<Database, 'sql'>): Promise<LiveMachine[]> {
  const { rows } = await sql.query<LiveMachine>(
    Prisma.sql`SELECT capabilities, count(*)::int AS workers FROM workers WHERE ${acceptsJobs}
      GROUP BY capabilities ORDER BY (capabilities->>'memoryBytes')::float8 DESC NULLS FIRST LIMIT ${maxKinds}`,
  );
  return rows;
}
