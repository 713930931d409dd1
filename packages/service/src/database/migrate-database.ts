import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import type { Database } from './database.ts';

const migrationsFolder = fileURLToPath(new URL('../../../../prisma/migrations', import.meta.url));

/** The advisory lock that Prisma's own `migrate` takes, so that it and this never run at once. */
const prismaLock = 72707369;

export interface Migration {
  name: string;
  sql: string;
  /** SHA-256 of the file, as Prisma records it. */
  checksum: string;
}

/** The migrations of the source tree, in order. */
export async function readMigrations(folder: string = migrationsFolder): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return await Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(path.join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/**
 * Applies the migrations that the database lacks, as `prisma migrate deploy` would and in its bookkeeping table, so
 * that either may be used. Each is one transaction with its bookkeeping row. Processes that start together wait for
 * one another. Answers the names applied. Throws when the database holds a migration that was changed, has failed, or
 * is unknown here (a newer Graft has been at work).
 */
export async function migrateDatabase(
  { sql }: Pick<Database, 'sql'>,
  migrations?: Migration[],
): Promise<string[]> {
  const known = migrations ?? (await readMigrations());
  const connection = await sql.connect();
  try {
    await connection.query("SET lock_timeout = '60s'");
    await connection.query('SELECT pg_advisory_lock($1)', [prismaLock]);
    const applied = await readApplied(connection);
    checkHistory(known, applied);
    const missing = known.filter(({ name }) => !applied.some((row) => row.name === name));
    for (const migration of missing) await apply(connection, migration);
    return missing.map(({ name }) => name);
  } finally {
    // Ends the session, and with it lock and lock_timeout, however far this got.
    connection.release(true);
  }
}

interface AppliedRow {
  name: string;
  checksum: string;
  finished: boolean;
}

async function readApplied(connection: pg.PoolClient): Promise<AppliedRow[]> {
  await connection.query(`CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ,
    migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`);
  const { rows } = await connection.query<AppliedRow>(
    `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS finished FROM _prisma_migrations
     WHERE rolled_back_at IS NULL ORDER BY started_at`,
  );
  return rows;
}

function checkHistory(known: Migration[], applied: AppliedRow[]): void {
  for (const row of applied) {
    const migration = known.find(({ name }) => name === row.name);
    if (!migration) {
      throw new Error(
        `The database has the migration ${row.name}, which this version of Graft does not know.`,
      );
    }
    if (!row.finished)
      throw new Error(`The migration ${row.name} failed before; see prisma migrate resolve.`);
    if (migration.checksum !== row.checksum) {
      throw new Error(`The migration ${row.name} was changed after it was applied.`);
    }
  }
}

async function apply(connection: pg.PoolClient, migration: Migration): Promise<void> {
  try {
    await connection.query('BEGIN');
    await connection.query(migration.sql);
    await connection.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, clock_timestamp(), 1)`,
      [randomUUID(), migration.checksum, migration.name],
    );
    await connection.query('COMMIT');
  } catch (error) {
    throw new Error(`The migration ${migration.name} failed: ${(error as Error).message}`, { cause: error });
  }
}
