/** Migrates a database of the last version before 1.0.0, and those of every version since, with rows of every kind: the rows are kept. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { listAuditHeads, verifyAudit } from '../audit/verify-audit.ts';
import { createTestDatabase, type TestDatabase } from '../testing/test-database.ts';
import { migrateDatabase, readMigrations } from './migrate-database.ts';
import { makeLastVersion, recordLastVersion } from './testing/last-version-record.ts';
import { type InsertedRows, insertRowsOfEveryKind, readColumns } from './testing/rows-of-every-kind.ts';

/** Columns that are filled in when the transaction that adds a row commits. */
const filled: Record<string, string[]> = { audit_log: ['sequence', 'hash'] };

let database: TestDatabase;
let sql: pg.Pool;
/** Inserted rows, by the name of the migration that followed. */
const inserted = new Map<string, InsertedRows>();
before(async () => {
  database = await createTestDatabase();
  sql = new pg.Pool({ connectionString: database.url });
  // Dropping the database breaks connections that are closing.
  sql.on('error', () => {});
  await makeLastVersion(sql);
});
after(async () => {
  await sql.end();
  await database.drop();
});

test('each migration runs on the rows of every version before it', async () => {
  const migrations = await readMigrations();
  for (const [number, { name }] of migrations.entries()) {
    inserted.set(name, await insertRowsOfEveryKind(sql, `before-${number}`));
    assert.deepEqual(await migrateDatabase({ sql }, migrations.slice(0, number + 1)), [name]);
  }
  const { rows: record } = await sql.query(
    'SELECT migration_name AS name, checksum FROM _prisma_migrations ORDER BY 1',
  );
  assert.deepEqual(
    record,
    migrations.map(({ name, checksum }) => ({ name, checksum })),
  );
  assert.deepEqual(await migrateDatabase({ sql }), []);
  const last = await insertRowsOfEveryKind(sql, 'newest');
  const written = new Set([
    ...last.keys(),
    ...['installation', 'turn_clocks', 'job_metadata', 'usage_ledger', 'audit_chains'],
  ]);
  for (const table of (await readColumns(sql)).keys())
    assert.ok(written.has(table), `rows-of-every-kind.ts has no row of ${table}`);
});

test('the rows have kept their values', async () => {
  const tables = new Set([...inserted.values()].flatMap((of) => [...of.keys()]));
  for (const table of tables) {
    const { rows: now } = await sql.query(`SELECT to_jsonb(kept) AS row FROM ${table} AS kept`);
    for (const [next, of] of inserted) {
      const [first, ...others] = of.get(table) ?? [];
      if (!first) continue;
      const kept = new Set(now.map(({ row }) => JSON.stringify(pick(row, first, table))));
      for (const row of [first, ...others]) {
        const wanted = JSON.stringify(pick(row, first, table));
        assert.ok(kept.has(wanted), `a row of ${table} from before ${next} is not as it was: ${wanted}`);
      }
    }
  }
});

/** Returns the values of `row` for the columns of `like`, in its order, without columns that are filled in later. */
function pick(row: Record<string, unknown>, like: Record<string, unknown>, table: string): unknown[] {
  const names = Object.keys(like).filter((name) => !filled[table]?.includes(name));
  return names.map((name) => row[name]);
}

test('the audit entries of every version are chained', async () => {
  const { data } = await listAuditHeads({ sql }, { limit: 1_000 });
  assert.ok(data.length >= inserted.size);
  for (const { chain, sequence } of data) {
    const check = await verifyAudit({ sql }, chain);
    assert.deepEqual([check.fault, check.last.sequence], [null, sequence], chain);
  }
});

test('the guard of finished jobs is in force again', async () => {
  const change = sql.query("UPDATE jobs SET suffix = 'another' WHERE state = 'failed'");
  await assert.rejects(change, /a finished job never changes/);
});

test('a database of an earlier version is refused, and one of another version, too', async () => {
  const kept = async () =>
    (await sql.query('SELECT count(*)::int AS rows FROM _prisma_migrations')).rows[0].rows as number;
  for (const [count, last] of [
    [62, '20261101000060_between'],
    [1, '20260801000000_init'],
  ] as const) {
    await recordLastVersion(sql, count);
    await assert.rejects(migrateDatabase({ sql }), {
      message:
        `The database is of an earlier version of Graft: its last migration is ${last} (${count} of 63). This version reads those of the ` +
        'last version before 1.0.0, commit e1f565a2: start that version on it once, then this one.',
    });
    assert.equal(await kept(), count);
  }
  await recordLastVersion(sql);
  await sql.query(
    `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES (gen_random_uuid(), 'x', '20991231000000_other', now())`,
  );
  await assert.rejects(
    migrateDatabase({ sql }),
    /20991231000000_other, which this version of Graft does not know/,
  );
  assert.equal(await kept(), 64);
  // Another table's row in place of the first: not Graft's.
  await sql.query(
    "DELETE FROM _prisma_migrations WHERE migration_name IN ('20991231000000_other', '20260801000000_init')",
  );
  await assert.rejects(migrateDatabase({ sql }), /which this version of Graft does not know/);
});

test('a baseline that Prisma failed to apply, or was asked to record, is recorded', async () => {
  const [first] = await readMigrations();
  for (const finished of [null, new Date()]) {
    await makeLastVersion(sql);
    await sql.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES (gen_random_uuid(), $1, $2, $3)`,
      [first!.checksum, first!.name, finished],
    );
    assert.equal((await migrateDatabase({ sql }))[0], first!.name);
    assert.deepEqual(await migrateDatabase({ sql }), []);
  }
});
