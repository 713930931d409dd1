import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { migrateDatabase } from '@graft/service/migrations';
import { createTestDatabase, makeLastVersion, type TestDatabase } from '@graft/service/testing';
import pg from 'pg';

const root = fileURLToPath(new URL('../..', import.meta.url));
let database: TestDatabase;
let project: string;

before(async () => {
  database = await createTestDatabase();
  // A copy of the schema and its migrations, where `migrate dev` may write.
  project = await mkdtemp(path.join(tmpdir(), 'graft-prisma-'));
  await cp(path.join(root, 'prisma'), path.join(project, 'prisma'), { recursive: true });
  await writeFile(
    path.join(project, 'prisma.config.ts'),
    `export default { schema: 'prisma/schema.prisma', migrations: { path: 'prisma/migrations' },
       datasource: { url: process.env.DATABASE_URL } };`,
  );
});
after(async () => {
  await database.drop();
  await rm(project, { recursive: true, force: true });
});

async function prisma(args: string[], { url }: { url: string } = database): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [path.join(root, 'node_modules/prisma/build/index.js'), ...args],
    {
      cwd: project,
      env: {
        ...process.env,
        DATABASE_URL: url,
        CHECKPOINT_DISABLE: '1',
        PRISMA_SCHEMA_ENGINE_BINARY: path.join(root, 'scripts/schema-engine/main.mjs'),
      },
    },
  );
  return stdout + stderr;
}

async function shadowDatabases(sql: pg.Pool): Promise<string[]> {
  const { rows } = await sql.query<{ datname: string }>(
    "SELECT datname FROM pg_database WHERE datname LIKE 'prisma_migrate_shadow%' ORDER BY datname",
  );
  return rows.map((row) => row.datname);
}

test('Prisma finds the migrations that Graft applied itself, and no drift from schema.prisma', async () => {
  assert.match(await prisma(['migrate', 'status']), /Database schema is up to date/);
  // Exit code 0: no difference; 2 would reject.
  const schema = 'prisma/schema.prisma';
  await prisma(['migrate', 'diff', '--from-config-datasource', '--to-schema', schema, '--exit-code']);
});

test('migrate dev makes a migration through the shadow database, and Graft accepts what it applied', async () => {
  await appendFile(
    path.join(project, 'prisma/schema.prisma'),
    '\nmodel Extra {\n  id Int @id\n  @@map("extra")\n}\n',
  );
  const sql = new pg.Pool({ connectionString: database.url });
  const before = await shadowDatabases(sql);
  assert.match(await prisma(['migrate', 'dev', '--name', 'extra']), /Your database is now in sync/);

  const migrations = path.join(project, 'prisma/migrations');
  const made = (await readdir(migrations)).find((name) => name.endsWith('_extra'));
  assert.match(
    await readFile(path.join(migrations, made!, 'migration.sql'), 'utf8'),
    /^-- CreateTable\nCREATE TABLE "extra"/,
  );
  await sql.query('SELECT * FROM extra');
  assert.deepEqual(await shadowDatabases(sql), before, 'the shadow database is dropped');
  // The source tree lacks that migration: this Graft must refuse such a database.
  await assert.rejects(migrateDatabase({ sql }), /_extra, which this version of Graft does not know/);
  await sql.end();
});

test('migrate deploy runs a script with function bodies whole', async () => {
  const folder = path.join(project, 'prisma/migrations/29990101000000_function');
  await mkdir(folder);
  await writeFile(
    path.join(folder, 'migration.sql'),
    'CREATE FUNCTION twice(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN n := 2 * n; RETURN n; END $$;\nSELECT twice(2);',
  );
  assert.match(await prisma(['migrate', 'deploy']), /All migrations have been successfully applied/);
});

test('Prisma finds nothing missing in a database of the last version before 1.0.0 that Graft has migrated', async () => {
  const other = await createTestDatabase();
  const sql = new pg.Pool({ connectionString: other.url });
  sql.on('error', () => {});
  try {
    await makeLastVersion(sql);
    await migrateDatabase({ sql });
    await rm(path.join(project, 'prisma'), { recursive: true });
    await cp(path.join(root, 'prisma'), path.join(project, 'prisma'), { recursive: true });
    assert.match(await prisma(['migrate', 'status'], other), /Database schema is up to date/);
  } finally {
    await sql.end();
    await other.drop();
  }
});

test('a database that cannot be reached is reported as Prisma does', async () => {
  const url = database.url.replace(/:\d+\//, ':1/');
  await assert.rejects(prisma(['migrate', 'deploy'], { url }), /P1001|Can't reach database server/);
});
