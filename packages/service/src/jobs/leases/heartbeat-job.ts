import type { Database } from '../../database/database.ts';
import type { Lease } from '../job.ts';

/** Extends the lease. Null: fenced; kill the trainer and write nothing. */
export async function heartbeatJob(
  db: Database,
  lease: Lease,
  options: { leaseSeconds: number },
): Promise<{ cancelRequested: boolean; pauseRequested: boolean } | null> {
  const { rows } = await db.sql.query<{ cancelRequested: boolean; pauseRequested: boolean }>(
    `UPDATE jobs SET lease_until = now() + make_interval(secs => $3)
     WHERE id = $1 AND lease_epoch = $2 AND state = 'running'
     RETURNING cancel_requested_at IS NOT NULL AS "cancelRequested", pause_requested_at IS NOT NULL AS "pauseRequested"`,
    [lease.id, lease.epoch, options.leaseSeconds],
  );
  return rows[0] ?? null;
}
