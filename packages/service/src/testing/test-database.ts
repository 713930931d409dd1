import { createHash } from 'node:crypto';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import { migrateDatabase, readMigrations } from '../database/migrate-database.ts';
import { randomText } from '../ids.ts';
import { holdEmbeddedPostgres } from '../postgres/acquire-postgres.ts';

export interface TestDatabase {
  url: string;
  /** Drops the database. */
  drop(): Promise<void>;
}

interface Server {
  /** URL of a database that always exists. */
  adminUrl: string;
  url(database: string): string;
  release(): Promise<void>;
}

/** Returns a server for tests: that of DATABASE_URL, or an embedded one that all test processes of this user share. */
async function holdServer(): Promise<Server> {
  const given = process.env.DATABASE_URL;
  if (given) {
    return {
      adminUrl: given,
      url: (database) => {
        const url = new URL(given);
        url.pathname = `/${database}`;
        return url.href;
      },
      release: async () => {},
    };
  }
  const folder = path.join(tmpdir(), `graft-test-${userInfo().uid}`, 'postgres');
  const held = await holdEmbeddedPostgres(folder, pino({ level: 'silent' }));
  return { ...held, adminUrl: held.url('postgres') };
}

/**
 * Creates a migrated database as a copy of a template, which is created once per state of the migrations; a copy takes about 50 ms. The
 * caller drops it.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = await holdServer();
  const admin = new pg.Client({ connectionString: server.adminUrl });
  await admin.connect();
  const name = `graft_test_${randomText(12).toLowerCase()}`;
  try {
    const template = await ensureTemplate(admin, server.url);
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
    await renewInstallation(server.url(name));
  } catch (error) {
    await admin.end();
    await server.release();
    throw error;
  }
  return {
    url: server.url(name),
    drop: async () => {
      await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await admin.end();
      await server.release();
    },
  };
}

/** Gives the copy a new installation id, and thus a separate prefix in Redis. */
async function renewInstallation(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('UPDATE installation SET id = gen_random_uuid()');
  await client.end();
}

async function ensureTemplate(admin: pg.Client, url: (database: string) => string): Promise<string> {
  const migrations = await readMigrations();
  const state = createHash('sha256').update(migrations.map(({ checksum }) => checksum).join());
  const template = `graft_template_${state.digest('hex').slice(0, 12)}`;
  // One process creates the template, under another name until it is complete; the others wait.
  await admin.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [template]);
  try {
    const { rowCount } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [template]);
    if (rowCount) return template;
    await admin.query(`DROP DATABASE IF EXISTS ${template}_draft WITH (FORCE)`);
    await admin.query(`CREATE DATABASE ${template}_draft`);
    const sql = new pg.Pool({ connectionString: url(`${template}_draft`), max: 1 });
    await migrateDatabase({ sql }, migrations);
    await sql.end();
    await admin.query(`ALTER DATABASE ${template}_draft RENAME TO ${template}`);
    return template;
  } finally {
    await admin.query('SELECT pg_advisory_unlock(hashtextextended($1, 0))', [template]);
  }
}
