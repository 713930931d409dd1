import type pg from 'pg';
import { migrateDatabase, readMigrations } from '../migrate-database.ts';

/**
 * Makes a database as the last version before 1.0.0 left it: the baseline, whose schema is that version's, with the record of its 63
 * migrations, or of the first `count`. The names between the first and the last are made up, since only their number is checked.
 */
export async function makeLastVersion(sql: pg.Pool, count = 63): Promise<void> {
  await sql.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC');
  await migrateDatabase({ sql }, (await readMigrations()).slice(0, 1));
  await recordLastVersion(sql, count);
}

/** Replaces the record of applied migrations by that of the last version before 1.0.0, or by the first `count` rows of it. */
export async function recordLastVersion(sql: pg.Pool, count = 63): Promise<void> {
  const between = Array.from(
    { length: 61 },
    (_, index) => `20261101${String(index).padStart(6, '0')}_between`,
  );
  const names = ['20260801000000_init', ...between, '20261202180000_team_objects'];
  await sql.query('DELETE FROM _prisma_migrations');
  await sql.query(
    `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
     SELECT gen_random_uuid(), 'of the last version', name, now(), 1 FROM unnest($1::text[]) AS name`,
    [names.slice(0, count)],
  );
}
