/** Roles are shared by a whole cluster, so this file uses a private one. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { pino } from 'pino';
import { loadServiceEnv } from '../environment/env.ts';
import { openServices } from '../services.ts';
import { createTeam } from '../teams/team-records.ts';
import { type PrivatePostgres, startPrivatePostgres } from '../testing/private-postgres.ts';
import { connectDatabase, connectOwner } from './database.ts';
import { withSystemScope, withTeamScope } from './database-scope.ts';
import { grantAccess } from './grant-access.ts';
import { migrateDatabase } from './migrate-database.ts';

const log = pino({ level: 'silent' });
const databases = ['one', 'two', 'three', 'four'];

let postgres: PrivatePostgres;
let dataDir: string;
before(async () => {
  postgres = await startPrivatePostgres();
  dataDir = await mkdtemp(path.join(tmpdir(), 'graft-roles-'));
  for (const name of databases) await query('graft', `CREATE DATABASE ${name}`);
});
after(async () => {
  await postgres.close();
  await rm(dataDir, { recursive: true, force: true });
});

function urlOf(database: string, login?: string): string {
  const url = new URL(postgres.url);
  url.pathname = `/${database}`;
  if (login) [url.username, url.password] = [login, 'secret'];
  return url.href;
}

async function query(database: string, sql: string, login?: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: urlOf(database, login) });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function withOwner(
  database: string,
  login: string | undefined,
  work: typeof migrateDatabase,
): Promise<unknown> {
  const owner = connectOwner(urlOf(database, login), log);
  return await work(owner).finally(() => owner.sql.end());
}
const migrate = async (database: string, login?: string) =>
  await withOwner(database, login, async (owner) => {
    const names = await migrateDatabase(owner);
    await grantAccess(owner);
    return names;
  });

test('a login without the right to create roles learns what to request', async () => {
  await query('graft', "CREATE ROLE modest LOGIN PASSWORD 'secret'");
  await query('graft', 'CREATE DATABASE modest OWNER modest');
  await assert.rejects(migrate('modest', 'modest'), /CREATE ROLE graft_team NOLOGIN;.* TO modest;/);
});

test('databases of one cluster that are migrated at once make its roles together', async () => {
  const twice = await Promise.all([...databases, ...databases].map((name) => migrate(name)));
  assert.equal(twice.filter((names) => (names as string[]).length > 0).length >= databases.length, true);
  assert.deepEqual(await query('one', "SELECT rolcanlogin FROM pg_roles WHERE rolname ~ '^graft_'"), [
    { rolcanlogin: false },
    { rolcanlogin: false },
    { rolcanlogin: false },
  ]);
});

test('where the roles are, an owner that is no superuser migrates; and what it lacks is named', async () => {
  await assert.rejects(migrate('modest', 'modest'), /GRANT graft_team, graft_system TO/);
  await query('graft', 'GRANT graft_team, graft_system TO modest');
  await migrate('modest', 'modest');
  assert.deepEqual(
    await query('modest', 'SET ROLE graft_system; SELECT 1', 'modest').then(() => 'may'),
    'may',
  );
});

test('a database that was restored, without its privileges, gets them again', async () => {
  await query('two', 'REVOKE ALL ON ALL TABLES IN SCHEMA public FROM graft_team, graft_system');
  await query('two', 'REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM graft_team, graft_system');
  await assert.rejects(query('two', 'SET ROLE graft_team; SELECT 1 FROM jobs'), { code: '42501' });
  await migrate('two');
  const privileges = (database: string) =>
    query(
      database,
      `SELECT relname, (SELECT array_agg(acl::text ORDER BY acl::text) FROM unnest(relacl) AS acl) AS acl
       FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S') ORDER BY 1`,
    );
  assert.deepEqual(await privileges('two'), await privileges('one'));
});

test('a role that could bypass policies stops the start', async () => {
  await query('graft', 'ALTER ROLE graft_team BYPASSRLS');
  await assert.rejects(migrate('one'), /ALTER ROLE graft_team NOSUPERUSER NOBYPASSRLS/);
  await query('graft', 'ALTER ROLE graft_team NOBYPASSRLS');
  await migrate('one');
});

test('Graft runs as a login that is a member of the two roles and nothing else', async () => {
  await query('graft', "CREATE ROLE app LOGIN PASSWORD 'secret' IN ROLE graft_team, graft_system");
  const open = async (migrating: NodeJS.ProcessEnv) =>
    await openServices({
      role: 'api',
      env: loadServiceEnv({
        DATABASE_URL: urlOf('three', 'app'),
        GRAFT_DATA_DIR: dataDir,
        REDIS_URL: '',
        ...migrating,
      }),
      log,
    });
  // Migrated databases need no owner.
  for (const migrating of [{ GRAFT_MIGRATION_DATABASE_URL: urlOf('three') }, {}]) {
    const services = await open(migrating);
    const { rows } = await services.sql.query(
      'SELECT session_user::text AS login, current_user::text AS role',
    );
    assert.deepEqual(rows, [{ login: 'app', role: 'graft_team' }]);
    let rung: string | undefined;
    const consumer = await services.queue.consume(
      async ({ id }) => {
        rung = id;
      },
      { concurrency: 1 },
    );
    await services.queue.ring({ id: 'job', epoch: 1 });
    for (const end = performance.now() + 20_000; rung === undefined && performance.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(rung, 'job');
    await consumer.close();
    await services.close();
  }
  await assert.rejects(query('three', 'ALTER TABLE jobs DISABLE ROW LEVEL SECURITY', 'app'), {
    code: '42501',
  });

  const operator = await openServices({
    role: 'admin',
    env: loadServiceEnv({ DATABASE_URL: urlOf('three', 'app'), GRAFT_DATA_DIR: dataDir, REDIS_URL: '' }),
    log,
  });
  const team = await createTeam(operator, { name: 'acme' });
  assert.equal(await operator.db.team.count(), 1);
  assert.equal(await withTeamScope('other', () => operator.db.team.count()), 0);
  assert.equal(await withTeamScope(team.id, () => operator.db.team.count()), 1);
  await operator.close();
});

test('a connection that cannot be switched is closed, and nothing is asked on it', async () => {
  await query('graft', "CREATE ROLE half LOGIN PASSWORD 'secret' IN ROLE graft_team");
  const { sql, db } = connectDatabase(urlOf('three', 'half'), log);
  assert.deepEqual((await withTeamScope('x', () => sql.query('SELECT id FROM teams'))).rows, []);
  await assert.rejects(
    withSystemScope(() => sql.query('SELECT id FROM teams')),
    { code: '42501', message: /set role/ },
  );
  assert.equal(sql.totalCount, 0);
  await assert.rejects(
    withSystemScope(() => db.team.count()),
    /set role/,
  );
  assert.equal(sql.totalCount, 0);
  assert.equal(await withTeamScope('x', () => db.team.count()), 0);
  await sql.end();
});

test('a database of a newer Graft is not migrated by a login that may not', async () => {
  const missing = { name: '29990101000000_extra', sql: 'CREATE TABLE extra (id INT)', checksum: 'c1' };
  const { readMigrations } = await import('./migrate-database.ts');
  const known = [...(await readMigrations()), missing];
  await assert.rejects(
    withOwner('three', 'app', (owner) => migrateDatabase(owner, known)),
    /29990101000000_extra failed: permission denied/,
  );
});
