import type { Database } from './database.ts';
import { withSystemScope } from './database-scope.ts';

/**
 * Rejects if Postgres does not respond or accepts no writes, for example on a standby or with a full disk. Commits an update without effect
 * to the one row of `installation`, unless a concurrent probe has locked the row and so performs the test.
 */
export async function probeWrite({ sql }: Pick<Database, 'sql'>): Promise<void> {
  await withSystemScope(() =>
    sql.query(
      `UPDATE installation SET created_at = created_at
       WHERE id = (SELECT id FROM installation LIMIT 1 FOR UPDATE SKIP LOCKED)`,
    ),
  );
}
