import type { Database } from './database.ts';

/** Returns the version of Postgres and the name of the last applied migration. */
export async function describeDatabase({
  sql,
}: Pick<Database, 'sql'>): Promise<{ version: string; migration: string }> {
  const { rows } = await sql.query<{ version: string; migration: string }>(
    `SELECT current_setting('server_version') AS version, max(migration_name) AS migration
     FROM _prisma_migrations WHERE finished_at IS NOT NULL`,
  );
  return rows[0]!;
}
