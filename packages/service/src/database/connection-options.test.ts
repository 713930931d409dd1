import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PostgresConnection } from 'bullmq';
import pg from 'pg';
import type { Services } from '../services.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { connectionOptions } from './connection-options.ts';
import { inTransaction } from './in-transaction.ts';

const limits = {
  TimeZone: 'UTC',
  statement_timeout: '15s',
  lock_timeout: '2s',
  idle_in_transaction_session_timeout: '5s',
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '20000',
};
const question = `SELECT ${Object.keys(limits).map((name) => `current_setting('${name}') AS "${name}"`)}`;

let services: Services;
before(async () => {
  services = await openTestServices({ role: 'admin', env: { REDIS_URL: '' } });
});
after(async () => await services.close());

test('the pool, transactions and single statements of Prisma alike', async () => {
  assert.deepEqual((await services.sql.query(question)).rows, [limits]);
  assert.deepEqual(await services.db.$queryRawUnsafe(question), [limits]);
  const inside = await inTransaction(services, async (tx) => await tx.$queryRawUnsafe(question));
  assert.deepEqual(inside, [limits]);
});

test('the queue on Postgres, its LISTENer included', async (t) => {
  const consumer = await services.queue.consume(async () => {}, { concurrency: 1 });
  t.after(async () => await consumer.close());
  await services.queue.depth();
  // Only a session itself can read its settings. BullMQ's own connection, opened the same way, reports both kinds.
  const backend = new PostgresConnection({
    ...connectionOptions(services.databaseUrl, 'graft-queue'),
    max: 2,
  });
  await backend.waitUntilReady();
  assert.deepEqual((await backend.pool.query(question)).rows, [limits]);
  assert.deepEqual((await (await backend.getListenClient()).query(question)).rows, [limits]);
  await backend.close();
});

test('every session on the database came by these options', async (t) => {
  const consumer = await services.queue.consume(async () => {}, { concurrency: 1 });
  t.after(async () => await consumer.close());
  // Autovacuum may be at work in this database at the same moment; it has no name.
  const { rows } = await services.sql.query<{ name: string }>(
    `SELECT DISTINCT application_name AS name FROM pg_stat_activity
     WHERE datname = current_database() AND backend_type = 'client backend' ORDER BY 1`,
  );
  // BullMQ names its LISTEN connection after its queue.
  assert.deepEqual(
    rows.map(({ name }) => name).filter((name) => name !== 'jobs'),
    ['graft', 'graft-queue'],
  );
});

test('what a URL says of a connection is kept, and wins', async () => {
  const url = new URL(services.databaseUrl);
  url.searchParams.set('options', '-c lock_timeout=1s -c work_mem=5MB');
  const client = new pg.Client(connectionOptions(url.href, 'x'));
  await client.connect();
  const { rows } = await client.query(
    `${question}, current_setting('work_mem') AS work_mem, current_setting('application_name') AS name`,
  );
  assert.deepEqual(rows, [{ ...limits, lock_timeout: '1s', work_mem: '5MB', name: 'x' }]);
  await client.end();
});

test('a client that says nothing within a transaction is thrown out, and its locks with it', async () => {
  const url = new URL(services.databaseUrl);
  url.searchParams.set('options', '-c idle_in_transaction_session_timeout=200ms');
  const frozen = new pg.Client(connectionOptions(url.href, 'frozen'));
  frozen.on('error', () => {});
  await frozen.connect();
  await frozen.query('BEGIN');
  await frozen.query('LOCK TABLE teams IN ACCESS EXCLUSIVE MODE');
  assert.deepEqual(await services.db.team.count(), 0);
  await assert.rejects(frozen.query('COMMIT'));
  await frozen.end();
});
