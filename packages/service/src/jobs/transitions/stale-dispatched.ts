import type { Database } from '../../database/database.ts';
import type { Lease } from '../job.ts';

/**
 * Dispatched jobs that nobody claimed for `seconds`: their bell may be lost (queue restarted empty, or down when it
 * should have rung). Ringing again is harmless. Run it under `runExclusive('reconcile')`.
 */
export async function staleDispatched(db: Database, options: { seconds: number }): Promise<Lease[]> {
  const { rows } = await db.sql.query<Lease>(
    `SELECT id, lease_epoch AS epoch FROM jobs
     WHERE state = 'dispatched' AND dispatched_at < now() - make_interval(secs => $1) ORDER BY dispatched_at`,
    [options.seconds],
  );
  return rows;
}
