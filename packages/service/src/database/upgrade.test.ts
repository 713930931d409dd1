/** Migrates installations of every earlier version, with rows of every kind, and checks that the rows are kept. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { listAuditHeads, verifyAudit } from '../audit/verify-audit.ts';
import { createTestDatabase, type TestDatabase } from '../testing/test-database.ts';
import { migrateDatabase, readMigrations } from './migrate-database.ts';
import { type InsertedRows, insertRowsOfEveryKind, readColumns } from './testing/rows-of-every-kind.ts';

/** Columns whose values migrations change in existing rows. */
const changed: Record<string, string[]> = {
  checkpoints: ['removed_at'],
  outbox: ['delivered_at'],
  // Moved into `metrics`.
  job_metrics: ['token_accuracy', 'learning_rate', 'grad_norm', 'tokens_per_second', 'memory_bytes'],
  // Filled in when the transaction that adds an entry commits.
  audit_log: ['sequence', 'hash'],
};

let database: TestDatabase;
let sql: pg.Pool;
/** Inserted rows, by the name of the migration that followed. */
const inserted = new Map<string, InsertedRows>();
before(async () => {
  database = await createTestDatabase();
  sql = new pg.Pool({ connectionString: database.url });
  // Dropping the database breaks connections that are closing.
  sql.on('error', () => {});
  await sql.query('DROP SCHEMA public CASCADE');
  await sql.query('CREATE SCHEMA public');
});
after(async () => {
  await sql.end();
  await database.drop();
});

test('each migration runs on the rows of every version before it', async () => {
  const migrations = await readMigrations();
  for (const [number, { name }] of migrations.entries()) {
    if (number > 0) inserted.set(name, await insertRowsOfEveryKind(sql, `before-${number}`));
    assert.deepEqual(await migrateDatabase({ sql }, migrations.slice(0, number + 1)), [name]);
  }
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

/** Returns the values of `row` for the columns of `like`, in its order, without columns that migrations change. */
function pick(row: Record<string, unknown>, like: Record<string, unknown>, table: string): unknown[] {
  const names = Object.keys(like).filter((name) => !changed[table]?.includes(name));
  return names.map((name) => row[name]);
}

test('what the columns of metrics held is in one object, of the rows of every version and team', async () => {
  const { rows } = await sql.query<{ job: string; kind: string; metrics: Record<string, number> }>(
    'SELECT job_id AS job, kind, metrics FROM job_metrics',
  );
  const numbers = [...inserted.keys()];
  const memorySince = numbers.findIndex((name) => name.endsWith('_step_memory')) + 1;
  const measured = { token_accuracy: 0.1, learning_rate: 1e-4, grad_norm: 1.5 };
  for (const { job, kind, metrics } of rows) {
    const before = /^before-(\d+)-/.exec(job);
    const hasMemory = before === null || Number(before[1]) > memorySince;
    const wanted = hasMemory ? { ...measured, memory_bytes: 8e9 } : measured;
    assert.deepEqual(metrics, kind === 'train' ? wanted : {}, job);
  }
  assert.ok(rows.length >= 2 * inserted.size);
});

test('metrics that a process of the version before writes by column are stored by name', async () => {
  const { rows } = await sql.query<{ team: string; job: string }>(
    "SELECT team_id AS team, job_id AS job FROM job_metrics WHERE job_id LIKE 'newest-%' LIMIT 1",
  );
  const { team, job } = rows[0]!;
  const write = (loss: number) =>
    sql.query(
      `INSERT INTO job_metrics AS old (team_id, job_id, kind, step, epoch, loss, token_accuracy, learning_rate, grad_norm, tokens,
         tokens_per_second, memory_bytes)
       VALUES ($1, $2, 'train', 77, 0.5, $3, 0.25, 1e-4, NULL, 12, 3.5, 8000000000)
       ON CONFLICT (team_id, job_id, kind, step) DO UPDATE SET
         loss = excluded.loss, token_accuracy = excluded.token_accuracy, learning_rate = excluded.learning_rate,
         memory_bytes = excluded.memory_bytes
       WHERE (old.loss, old.token_accuracy) IS DISTINCT FROM (excluded.loss, excluded.token_accuracy)`,
      [team, job, loss],
    );
  await write(2);
  // As after a lost attempt.
  await write(1.5);
  const { rows: written } = await sql.query(
    `SELECT loss, metrics, num_nonnulls(token_accuracy, learning_rate, tokens_per_second, memory_bytes) AS columns
     FROM job_metrics WHERE job_id = $1 AND step = 77`,
    [job],
  );
  const metrics = { token_accuracy: 0.25, learning_rate: 1e-4, tokens_per_second: 3.5, memory_bytes: 8e9 };
  assert.deepEqual(written, [{ loss: 1.5, metrics, columns: 0 }]);
});

test('a job made by a personal key belongs to the person, however it ended', async () => {
  const { rows } = await sql.query<{ id: string; owner: string | null; state: string }>(
    'SELECT id, person_id AS owner, state FROM jobs',
  );
  const numbers = [...inserted.keys()];
  const peopleSince = numbers.findIndex((name) => name.endsWith('_people_and_keys')) + 1;
  const ownersSince = numbers.findIndex((name) => name.endsWith('_job_owners')) + 1;
  const states = new Set<string>();
  for (const { id, owner, state } of rows) {
    const [, number, by] = /^before-(\d+)-(?:job|sweep)-of-(\w+)-/.exec(id) ?? [];
    if (number === undefined || Number(number) > ownersSince) continue;
    const isOwned = by === 'person' && Number(number) > peopleSince;
    assert.equal(owner, isOwned ? `before-${number}-person` : null, id);
    if (isOwned) states.add(state);
  }
  assert.equal(states.size, 8, 'jobs of every state were checked');
});

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
