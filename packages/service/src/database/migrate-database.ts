import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import type { Database } from './database.ts';
import { isRowLocked } from './database-unavailable.ts';
import { hasWorkerAccess } from './worker-grants.ts';

const migrationsFolder = fileURLToPath(new URL('../../../../prisma/migrations', import.meta.url));

/** The first migration: the schema of 1.0.0, which is that of the last version before it. */
const baseline = '20261202180000_baseline';
/** The record of that version: its first and last migrations, and the number of all. */
const former = { first: '20260801000000_init', last: '20261202180000_team_objects', count: 63 };

/** The advisory lock of Prisma's own `migrate`, so that the two never run concurrently. Here it ends with the transaction. */
const prismaLock = 72707369;

export interface Migration {
  name: string;
  sql: string;
  /** SHA-256 of the file, as Prisma records it. */
  checksum: string;
}

/** Reads the migrations of the source tree, in order. */
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

/** Milliseconds that a process waits for other migrating processes, or for locks that a migration needs. */
const patience = 60_000;
const migrationMs = 3_600_000;

/**
 * Returns whether these applied migrations are those of the last version before 1.0.0, whose schema is the baseline's. Throws if they are
 * those of an earlier version; `subject` and `remedy` are parts of the message.
 */
export function isOfLastVersion(applied: string[], subject: string, remedy: string): boolean {
  // Prisma's `migrate resolve` records the baseline beside them.
  const names = applied.filter((name) => name !== baseline).sort();
  const newest = names.at(-1);
  if (!newest || !names.includes(former.first) || newest > former.last) return false;
  if (newest === former.last && names.length === former.count) return true;
  throw new Error(
    `${subject} is of an earlier version of Graft: its last migration is ${newest} (${names.length} of ${former.count}). ` +
      `This version reads those of the last version before 1.0.0, commit e1f565a2: ${remedy}`,
  );
}

/**
 * Applies missing migrations as `prisma migrate deploy` does, with the same bookkeeping table, so that either may be used. Each migration
 * and its bookkeeping row are one transaction, so locks are held no longer: Postgres disconnects a process that freezes in the middle.
 * Processes that start together wait for one another. In a database of the last version before 1.0.0 the baseline is recorded as applied,
 * and nothing runs. A migration that Prisma started but did not finish is applied again, since Postgres rolled it back. Returns the names
 * of the applied migrations. Throws if the database is of an earlier version, or has a migration that was changed or is unknown here,
 * because a newer Graft ran before.
 */
export async function migrateDatabase(
  { sql }: Pick<Database, 'sql'>,
  migrations?: Migration[],
): Promise<string[]> {
  const known = migrations ?? (await readMigrations());
  const applied: string[] = [];
  for (const end = performance.now() + patience; ; ) {
    const connection = await sql.connect();
    // Ends the session on an error, and with it all its locks.
    let fault: Error | undefined;
    try {
      const next = firstMissing(known, await readApplied(connection));
      if (!next) return applied;
      if (await apply(connection, next, known)) applied.push(next.name);
    } catch (error) {
      fault = error as Error;
      if (!isRowLocked(error) || performance.now() > end) throw error;
      await sleep(100);
    } finally {
      connection.release(fault);
    }
  }
}

/** Thrown for a login that may not migrate, until another process has migrated. */
export class NotMigratedError extends Error {}

/** Throws NotMigratedError until the API or the migration step has updated the database and granted the workers' privileges. */
export async function checkMigrated({ sql }: Pick<Database, 'sql'>): Promise<void> {
  const connection = await sql.connect();
  try {
    const missing = firstMissing(await readMigrations(), await readApplied(connection));
    if (!missing && (await hasWorkerAccess(connection))) return;
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error;
  } finally {
    connection.release();
  }
  throw new NotMigratedError(
    'The database is not migrated to this version yet: waiting for the API to do it',
  );
}

interface AppliedRow {
  name: string;
  checksum: string;
  finished: boolean;
}

/** Reads the applied migrations; none if the table does not exist yet. */
async function readApplied(connection: pg.PoolClient): Promise<AppliedRow[]> {
  const { rows: found } = await connection.query<{ exists: boolean }>(
    "SELECT to_regclass('_prisma_migrations') IS NOT NULL AS exists",
  );
  if (!found[0]?.exists) return [];
  const { rows } = await connection.query<AppliedRow>(
    `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS finished FROM _prisma_migrations
     WHERE rolled_back_at IS NULL ORDER BY started_at`,
  );
  return rows;
}

function awaitsBaseline(applied: AppliedRow[]): boolean {
  return isOfLastVersion(
    applied.filter(({ finished }) => finished).map(({ name }) => name),
    'The database',
    'start that version on it once, then this one.',
  );
}

function firstMissing(known: Migration[], applied: AppliedRow[]): Migration | undefined {
  if (awaitsBaseline(applied)) return known.find(({ name }) => name === baseline);
  checkHistory(known, applied);
  return known.find(({ name }) => !applied.some((row) => row.name === name && row.finished));
}

function checkHistory(known: Migration[], applied: AppliedRow[]): void {
  // The newest first, which an error names.
  for (const row of applied.toReversed()) {
    const migration = known.find(({ name }) => name === row.name);
    if (!migration) {
      throw new Error(
        `The database has the migration ${row.name}, which this version of Graft does not know: a newer one has been at work. ` +
          'Start that version, or restore the backup from before the upgrade.',
      );
    }
    if (row.finished && row.checksum !== migration.checksum) {
      throw new Error(`The migration ${row.name} was changed after it was applied.`);
    }
  }
}

/** Prisma's table of applied migrations. */
const bookkeeping = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ,
  migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`;

/** Applies a migration in the caller's transaction. */
export async function applyMigration(
  connection: Pick<pg.ClientBase, 'query'>,
  migration: Migration,
): Promise<void> {
  await connection.query(bookkeeping);
  const statement = { text: migration.sql, query_timeout: migrationMs };
  await connection.query(statement);
  await recordMigration(connection, migration);
}

async function recordMigration(
  connection: Pick<pg.ClientBase, 'query'>,
  { name, checksum }: Migration,
): Promise<void> {
  await connection.query(
    `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
     VALUES ($1, $2, $3, clock_timestamp(), 1)`,
    [randomUUID(), checksum, name],
  );
}

/** Returns false if another process applied the migration meanwhile. */
async function apply(connection: pg.PoolClient, migration: Migration, known: Migration[]): Promise<boolean> {
  try {
    await connection.query('BEGIN');
    // A migration of big tables may take long, but a wait for a lock may not: later requests for the lock would queue behind it.
    await connection.query('SET LOCAL statement_timeout = 0');
    await connection.query('SELECT pg_advisory_xact_lock($1)', [prismaLock]);
    await connection.query(bookkeeping);
    const applied = await readApplied(connection);
    const isNext = firstMissing(known, applied)?.name === migration.name;
    if (isNext && awaitsBaseline(applied)) {
      await connection.query('DELETE FROM _prisma_migrations');
      await recordMigration(connection, migration);
    } else if (isNext) {
      // Prisma, which holds the same lock while it migrates, failed or was killed in the middle.
      const unfinished = applied.some(({ name }) => name === migration.name);
      if (unfinished) await giveUpUnfinished(connection, migration.name);
      await applyMigration(connection, migration).catch((error: unknown) => {
        throw unfinished ? resolvable(migration.name, error) : error;
      });
    }
    await connection.query('COMMIT');
    return isNext;
  } catch (error) {
    throw new Error(`The migration ${migration.name} failed: ${(error as Error).message}`, { cause: error });
  }
}

/** Marks the migration as rolled back, as `prisma migrate resolve --rolled-back` does. */
async function giveUpUnfinished(connection: pg.PoolClient, name: string): Promise<void> {
  await connection.query(
    `UPDATE _prisma_migrations SET rolled_back_at = now()
     WHERE migration_name = $1 AND finished_at IS NULL AND rolled_back_at IS NULL`,
    [name],
  );
}

/** SQLSTATEs of objects that already exist: column; table or index; policy, trigger or role; function. */
const duplicates = ['42701', '42P07', '42710', '42723'];

/** Explains the error if Prisma was killed after committing a migration and before recording it. */
function resolvable(name: string, error: unknown): unknown {
  if (!duplicates.includes((error as { code?: string }).code ?? '')) return error;
  return new Error(
    `${(error as Error).message}. \`prisma migrate deploy\` was stopped after it had applied this migration and before it recorded ` +
      `that. Run \`npx prisma migrate resolve --applied ${name}\` with DATABASE_URL set, then start again`,
    { cause: error },
  );
}
