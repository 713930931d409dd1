import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { applyMigration, isOfLastVersion, type Migration, readMigrations } from '@graft/service/migrations';
import { ensureRoles } from '@graft/service/postgres';
import pg from 'pg';
import { CopyIn } from './copy-streams.ts';
import { copySettings, type DatabaseContents, tableFile } from './dump-database.ts';

const quoted = (table: string) => `public.${pg.escapeIdentifier(table)}`;

/**
 * Puts what `dumpDatabase` wrote into an empty database, in one transaction: the migrations that the dumped one had make the schema, a
 * later start of Graft applies newer ones. Resolves to the tables that are not Graft's, which are left out. Throws where the database is
 * not empty (before `beforeRows` is called), the backup is a newer Graft's or older than the last version before 1.0.0, or a file is not
 * whole.
 */
export async function restoreDatabase(
  databaseUrl: string,
  {
    folder,
    contents,
    beforeRows,
  }: { folder: string; contents: DatabaseContents; beforeRows: () => Promise<void> },
  aborted?: AbortSignal,
): Promise<string[]> {
  const migrations = await sameMigrations(contents);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  client.on('error', () => {});
  try {
    await client.query(copySettings);
    await checkEmpty(client);
    await beforeRows();
    await client.query('BEGIN');
    await ensureRoles(client);
    for (const migration of migrations) await applyMigration(client, migration);
    const { without, back } = await rules(client);
    for (const statement of without) await client.query(statement);
    const made = await tableNames(client);
    const [own, foreign] = [true, false].map((is) =>
      contents.tables.filter(({ name }) => made.has(name) === is),
    );
    await client.query(`TRUNCATE ${own!.map(({ name }) => quoted(name)).join(', ')}`);
    for (const table of own!) await fill(client, folder, table, aborted);
    for (const { name, value, isCalled } of contents.sequences)
      await client.query('SELECT setval(to_regclass($1), $2::bigint, $3)', [quoted(name), value, isCalled]);
    for (const statement of back) await client.query(statement);
    aborted?.throwIfAborted();
    await client.query('COMMIT');
    await client.query('ANALYZE');
    return foreign!.map(({ name }) => name);
  } finally {
    await client.end();
  }
}

/** The migrations of this Graft that make the backup's schema. Whether one has changed since is checked when Graft starts. */
async function sameMigrations({ migrations }: DatabaseContents): Promise<Migration[]> {
  const own = await readMigrations();
  const names = migrations.map(({ name }) => name);
  if (isOfLastVersion(names, 'The backup', 'restore it with that version, then start this one.'))
    return own.slice(0, 1);
  return migrations.map(({ name }) => {
    const found = own.find((migration) => migration.name === name);
    if (!found)
      throw new Error(
        `The backup was made by a newer Graft: this one does not know the migration ${name}. Restore it with that version.`,
      );
    return found;
  });
}

async function tableNames(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
  );
  return new Set(rows.map(({ name }) => name));
}

async function checkEmpty(client: pg.Client): Promise<void> {
  if ((await tableNames(client)).size > 0)
    throw new Error('The database is not empty: restore into a new one, before any Graft has started on it.');
}

/**
 * Statements that put foreign keys and triggers out of force, and those that put them back, which checks the keys. The rows come in no
 * order, and what triggers did for them is among them.
 */
async function rules(client: pg.Client): Promise<{ without: string[]; back: string[] }> {
  const { rows: keys } = await client.query<{ table: string; name: string; definition: string }>(
    `SELECT relname AS table, conname AS name, pg_get_constraintdef(pg_constraint.oid) AS definition
     FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
     WHERE contype = 'f' AND relnamespace = 'public'::regnamespace ORDER BY relname, conname`,
  );
  const { rows: triggers } = await client.query<{ table: string; name: string; enabled: string }>(
    `SELECT relname AS table, tgname AS name, tgenabled AS enabled
     FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
     WHERE NOT tgisinternal AND relnamespace = 'public'::regnamespace AND tgenabled <> 'D'`,
  );
  const ways: Record<string, string> = { O: '', R: 'REPLICA ', A: 'ALWAYS ' };
  return {
    without: [
      ...keys.map(
        ({ table, name }) => `ALTER TABLE ${quoted(table)} DROP CONSTRAINT ${pg.escapeIdentifier(name)}`,
      ),
      ...triggers.map(
        ({ table, name }) => `ALTER TABLE ${quoted(table)} DISABLE TRIGGER ${pg.escapeIdentifier(name)}`,
      ),
    ],
    back: [
      ...triggers.map(
        ({ table, name, enabled }) =>
          `ALTER TABLE ${quoted(table)} ENABLE ${ways[enabled]}TRIGGER ${pg.escapeIdentifier(name)}`,
      ),
      ...keys.map(
        ({ table, name, definition }) =>
          `ALTER TABLE ${quoted(table)} ADD CONSTRAINT ${pg.escapeIdentifier(name)} ${definition}`,
      ),
    ],
  };
}

async function fill(
  client: pg.Client,
  folder: string,
  { name, columns, rows }: DatabaseContents['tables'][number],
  signal?: AbortSignal,
): Promise<void> {
  const list = columns.map(pg.escapeIdentifier).join(', ');
  const copy = client.query(new CopyIn(`COPY ${quoted(name)} (${list}) FROM STDIN`));
  const file = join(folder, tableFile(name));
  try {
    await pipeline(createReadStream(file), createGunzip(), copy, { signal });
  } catch (error) {
    throw new Error(`${file} cannot be restored: ${(error as Error).message}`, { cause: error });
  }
  if (copy.rows !== rows) throw new Error(`${file} is not whole: it has ${copy.rows} of ${rows} rows.`);
}
