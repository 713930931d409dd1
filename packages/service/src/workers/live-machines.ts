import type { Database } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';
import type { WorkerCapabilities } from '../jobs/turns/may-take.ts';
import { takesJobs } from '../jobs/turns/may-take.ts';

/** Workers that say the same of themselves. */
export interface LiveMachine {
  /** Null: they say nothing. */
  capabilities: WorkerCapabilities | null;
  workers: number;
}

/** Kinds that are told; of more, those with the least memory are left out. */
const mostKinds = 32;

/** What workers that live and take jobs say of themselves: those first that do not tell their memory, then those with the most. */
export async function liveMachines({ sql }: Pick<Database, 'sql'>): Promise<LiveMachine[]> {
  const { rows } = await sql.query<LiveMachine>(
    Prisma.sql`SELECT capabilities, count(*)::int AS workers FROM workers WHERE ${takesJobs}
      GROUP BY capabilities ORDER BY (capabilities->>'memoryBytes')::float8 DESC NULLS FIRST LIMIT ${mostKinds}`,
  );
  return rows;
}
