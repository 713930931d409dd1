import type { Database } from '../database/database.ts';
import { type Checkpoint, checkpointOf } from '../jobs/leases/record-checkpoint.ts';

/** Lists all recorded checkpoints of a job by descending step, also those whose folders were released. */
export async function listCheckpoints(
  { db }: Pick<Database, 'db'>,
  teamId: string,
  jobId: string,
): Promise<Checkpoint[]> {
  const rows = await db.checkpoint.findMany({ where: { teamId, jobId }, orderBy: { step: 'desc' } });
  return rows.map(checkpointOf);
}
