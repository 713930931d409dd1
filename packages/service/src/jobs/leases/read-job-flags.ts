import type { Database } from '../../database/database.ts';
import type { Lease } from '../job.ts';

/**
 * Whether a running job was asked to cancel or pause; a read, cheap enough to poll every second between heartbeats
 * (a running job must stop within two). Null: fenced.
 */
export async function readJobFlags(
  db: Database,
  lease: Lease,
): Promise<{ cancelRequested: boolean; pauseRequested: boolean } | null> {
  const { rows } = await db.sql.query<{ cancelRequested: boolean; pauseRequested: boolean }>(
    `SELECT cancel_requested_at IS NOT NULL AS "cancelRequested", pause_requested_at IS NOT NULL AS "pauseRequested"
     FROM jobs WHERE id = $1 AND lease_epoch = $2 AND state = 'running'`,
    [lease.id, lease.epoch],
  );
  return rows[0] ?? null;
}
