import type { Database } from './database.ts';
import { asSystem } from './on-behalf-of.ts';

/**
 * Rejects when Postgres does not answer, or takes no writes: a standby, a full disk. Commits a change of nothing to the one
 * row of `installation`, unless another probe is at it, which then tells.
 */
export async function probeWrite({ sql }: Pick<Database, 'sql'>): Promise<void> {
  await asSystem(() =>
    sql.query(
      `UPDATE installation SET created_at = created_at
       WHERE id = (SELECT id FROM installation LIMIT 1 FOR UPDATE SKIP LOCKED)`,
    ),
  );
}
