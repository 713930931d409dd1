import type { Services } from '../services.ts';

/**
 * Saves the current rows of a job, like a standby that stops receiving changes. `failOver` restores them, so that later commits are lost,
 * as in an asynchronous failover.
 */
export async function keepJobRows(
  { sql }: Pick<Services, 'sql'>,
  jobId: string,
): Promise<{ failOver(): Promise<void> }> {
  const { rows: tables } = await sql.query<{ name: string; key: string }>(
    `SELECT table_name AS name, column_name AS key FROM information_schema.columns
     WHERE table_schema = 'public' AND (column_name = 'job_id' OR (table_name, column_name) = ('jobs', 'id'))`,
  );
  const kept: { name: string; key: string; rows: string }[] = [];
  for (const table of tables) {
    const { rows } = await sql.query<{ rows: string }>(
      `SELECT coalesce(jsonb_agg(kept), '[]')::text AS rows FROM ${table.name} AS kept WHERE ${table.key} = $1`,
      [jobId],
    );
    kept.push({ ...table, rows: rows[0]!.rows });
  }
  const failOver = async () => {
    const connection = await sql.connect();
    try {
      await connection.query('BEGIN');
      // Disables triggers and foreign keys, as on a standby.
      await connection.query('SET LOCAL session_replication_role = replica');
      for (const { name, key, rows } of kept) {
        await connection.query(`DELETE FROM ${name} WHERE ${key} = $1`, [jobId]);
        await connection.query(
          `INSERT INTO ${name} SELECT * FROM jsonb_populate_recordset(NULL::${name}, $1)`,
          [rows],
        );
      }
      await connection.query('COMMIT');
    } finally {
      connection.release();
    }
  };
  return { failOver };
}
