import { randomUUID } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  ColumnTypeEnum,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
  type SqlQueryable,
} from '@prisma/driver-adapter-utils';
import pg from 'pg';

/**
 * adapter-pg as the schema engine needs it: it reads the system catalogues, runs a script whole (adapter-pg 7.10 cuts
 * it at every semicolon, also inside function bodies), and makes the shadow database beside the main one (adapter-pg
 * given a connection string would replay the migrations on the main database).
 */
export function migrationAdapter(url: URL): SqlMigrationAwareDriverAdapterFactory {
  const schema = url.searchParams.get('schema') ?? undefined;
  return {
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect: async () => await open(url, schema),
    connectToShadowDb: async () => {
      const shadow = withDatabase(url, `prisma_migrate_shadow_db_${randomUUID()}`);
      const name = pg.escapeIdentifier(databaseName(shadow));
      await runOnce(url, `CREATE DATABASE ${name}`);
      const adapter = await open(shadow, schema);
      const close = adapter.dispose.bind(adapter);
      adapter.dispose = async () => {
        await close();
        await runOnce(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      };
      return adapter;
    },
  };
}

async function open(url: URL, schema: string | undefined): Promise<SqlDriverAdapter> {
  const pool = new pg.Pool({ connectionString: plain(url), max: 1 });
  const options = { disposeExternalPool: true, ...(schema === undefined ? {} : { schema }) };
  const adapter = await new PrismaPg(pool, options).connect();
  // Without arguments pg uses the simple protocol, which takes many statements.
  adapter.executeScript = async (script) => {
    await adapter.executeRaw({ sql: script, args: [], argTypes: [] });
  };
  const readCharacters = characterReader(pool);
  readCharacters(adapter);
  const startTransaction = adapter.startTransaction.bind(adapter);
  adapter.startTransaction = async (level) => {
    const transaction = await startTransaction(level);
    readCharacters(transaction);
    return transaction;
  };
  return adapter;
}

/** Postgres's one-byte type `"char"`, which its catalogues are full of and adapter-pg 7.10 refuses. */
const charType = 18;
const textType = 25;

/** Makes an adapter on this one-connection pool read columns of type `"char"`, and call them characters. */
function characterReader(pool: pg.Pool): (adapter: SqlQueryable) => void {
  // Columns of the last query; queries come one at a time.
  let characters: number[] = [];
  pool.on('connect', (client) => {
    const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
    connection.prependListener('rowDescription', ({ fields }: { fields: pg.FieldDef[] }) => {
      characters = fields.flatMap((field, i) => (field.dataTypeID === charType ? [i] : []));
      for (const i of characters) fields[i]!.dataTypeID = textType;
    });
  });
  return (adapter) => {
    const queryRaw = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (query) => {
      const result = await queryRaw(query);
      for (const i of characters) result.columnTypes[i] = ColumnTypeEnum.Character;
      return result;
    };
  };
}

/** Runs one statement on a separate connection. */
export async function runOnce(url: URL, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: plain(url) });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

export function databaseName(url: URL): string {
  return decodeURIComponent(url.pathname.slice(1));
}

export function withDatabase(url: URL, name: string): URL {
  const other = new URL(url);
  other.pathname = `/${encodeURIComponent(name)}`;
  return other;
}

/** Without the parameters that only Prisma knows. */
function plain(url: URL): string {
  const copy = new URL(url);
  for (const name of ['schema', 'connection_limit', 'pool_timeout', 'pgbouncer'])
    copy.searchParams.delete(name);
  return copy.href;
}
