import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import type { Lease } from '../job.ts';

/**
 * A new attempt goes on from the checkpoint at `step` (0: from the beginning): metrics and checkpoints past it,
 * which the lost attempt wrote, are removed. False: fenced.
 */
export async function resumeFromStep(db: Database, lease: Lease, step: number): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<{ teamId: string }>(
      `SELECT team_id AS "teamId" FROM jobs WHERE id = $1 AND lease_epoch = $2 AND state = 'running' FOR SHARE`,
      [lease.id, lease.epoch],
    );
    const job = rows[0];
    if (!job) return false;
    for (const table of ['job_metrics', 'checkpoints']) {
      await tx.query(`DELETE FROM ${table} WHERE team_id = $1 AND job_id = $2 AND step > $3`, [
        job.teamId,
        lease.id,
        step,
      ]);
    }
    return true;
  });
}
