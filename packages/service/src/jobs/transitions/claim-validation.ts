import type { Database } from '../../database/database.ts';
import { type Job, jobColumns } from '../job.ts';

/** Seconds one process may take to validate a job's data before another may try. */
const validationSeconds = 120;

/**
 * Takes a job in state validating for this process: the one named, or the oldest that nobody works on (its process
 * died). Null: there is none. Answer with `finishValidation(db, leaseOf(job), …)`.
 */
export async function claimValidation(db: Database, id?: string): Promise<Job | null> {
  const { rows } = await db.sql.query<Job>(
    `UPDATE jobs SET lease_epoch = lease_epoch + 1, lease_until = now() + make_interval(secs => $2)
     WHERE state = 'validating' AND id = (
       SELECT id FROM jobs
       WHERE state = 'validating' AND ($1::text IS NULL OR id = $1) AND (lease_until IS NULL OR lease_until < now())
       ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING ${jobColumns}`,
    [id ?? null, validationSeconds],
  );
  return rows[0] ?? null;
}
