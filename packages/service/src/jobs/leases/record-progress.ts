import type { Database } from '../../database/database.ts';
import type { JobProgress, Lease } from '../job.ts';

/** Replaces the running job's progress. False: fenced. */
export async function recordProgress(db: Database, lease: Lease, progress: JobProgress): Promise<boolean> {
  const { rowCount } = await db.sql.query(
    `UPDATE jobs SET progress = $3 WHERE id = $1 AND lease_epoch = $2 AND state = 'running'`,
    [lease.id, lease.epoch, JSON.stringify(progress)],
  );
  return rowCount === 1;
}
