import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import pg from 'pg';
import { CopyOut } from './copy-streams.ts';
import { flush } from './flush.ts';

/** Contents of a database, beside the schema, which Graft's migrations make. */
export interface DatabaseContents {
  /** Names and checksums of the migrations that were applied, in order. */
  migrations: { name: string; checksum: string }[];
  /** The rows of each are in `<name>.copy.gz`, as COPY writes them, of these columns in this order. */
  tables: { name: string; columns: string[]; rows: number }[];
  sequences: { name: string; value: string; isCalled: boolean }[];
  /** Contents of the mark of the data folder. Null: nobody has opened it yet. */
  dataFolder: string | null;
}

export const tableFile = (name: string) => `${name}.copy.gz`;

/** For a session that copies: the same text on every server, all rows or an error, and no limit of time. */
export const copySettings = `SET client_encoding = 'UTF8'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'iso_8601';
  SET extra_float_digits = 3; SET timezone = 'UTC'; SET row_security = off; SET statement_timeout = 0;
  SET idle_in_transaction_session_timeout = 0`;

/** Writes all rows of one moment to `folder`, while others work. Needs the login that owns the tables, and no program of Postgres'. */
export async function dumpDatabase(
  databaseUrl: string,
  folder: string,
  signal?: AbortSignal,
): Promise<DatabaseContents> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  // A connection that is lost fails what waits for it.
  client.on('error', () => {});
  try {
    await client.query(copySettings);
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const { rows: found } = await client.query("SELECT to_regclass('public._prisma_migrations') AS table");
    if (found[0]?.table === null) throw new Error('The database holds no Graft.');
    const columns = await lockTables(client);
    await mkdir(folder, { mode: 0o700 });
    const tables: DatabaseContents['tables'] = [];
    for (const [name, names] of columns) {
      const list = names.map(pg.escapeIdentifier).join(', ');
      const copy = client.query(new CopyOut(`COPY public.${pg.escapeIdentifier(name)} (${list}) TO STDOUT`));
      const file = join(folder, tableFile(name));
      const output = createWriteStream(file, { flags: 'wx', mode: 0o600 });
      await pipeline(copy, createGzip({ level: 3 }), output, { signal });
      await flush(file);
      tables.push({ name, columns: names, rows: copy.rows });
    }
    const { rows: named } = await client.query('SELECT data_folder AS mark FROM installation');
    return {
      migrations: await readMigrations(client),
      tables,
      sequences: await readSequences(client),
      dataFolder: named[0]?.mark ?? null,
    };
  } finally {
    await client.end();
  }
}

/** Each table's columns. No migration can change them from now on; to rows others write as before. */
async function lockTables(client: pg.Client): Promise<Map<string, string[]>> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname",
  );
  const all = rows.map(({ name }) => `public.${pg.escapeIdentifier(name)}`);
  await client.query(`LOCK TABLE ${all.join(', ')} IN ACCESS SHARE MODE`);
  const { rows: columns } = await client.query<{ table: string; names: string[] }>(
    `SELECT relname AS table, array_agg(attname::text ORDER BY attnum) AS names
     FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
     GROUP BY relname ORDER BY relname`,
  );
  return new Map(columns.map(({ table, names }) => [table, names]));
}

async function readMigrations(client: pg.Client): Promise<DatabaseContents['migrations']> {
  const { rows } = await client.query(
    'SELECT migration_name AS name, checksum FROM public._prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY migration_name',
  );
  return rows;
}

/** They are outside of transactions: read after the rows, none is behind them. */
async function readSequences(client: pg.Client): Promise<DatabaseContents['sequences']> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' ORDER BY relname",
  );
  const sequences: DatabaseContents['sequences'] = [];
  for (const { name } of rows) {
    const state = await client.query(
      `SELECT last_value::text AS value, is_called AS "isCalled" FROM public.${pg.escapeIdentifier(name)}`,
    );
    sequences.push({ name, ...state.rows[0] });
  }
  return sequences;
}
