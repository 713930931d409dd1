import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '../services.ts';
import { createTestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { connectDatabase } from './database.ts';
import { isDatabaseUnavailable } from './database-unavailable.ts';
import { inTransaction } from './in-transaction.ts';
import { type Migration, migrateDatabase, readMigrations } from './migrate-database.ts';
import { readPage } from './read-page.ts';

let services: Services;
before(async () => {
  services = await openTestServices();
  await services.sql.query('CREATE TABLE notes (text TEXT)');
});
after(async () => await services.close());

const notes = async () =>
  (await services.sql.query<{ text: string }>('SELECT text FROM notes ORDER BY text')).rows.map(
    ({ text }) => text,
  );

test('a transaction that throws leaves nothing, and its connection is of use again', async () => {
  const work = inTransaction(services, async (tx) => {
    await tx.$executeRaw`INSERT INTO notes VALUES ('lost')`;
    throw new Error('no');
  });
  await assert.rejects(work, /no/);
  await inTransaction(services, async (tx) => await tx.$executeRaw`INSERT INTO notes VALUES ('kept')`);
  assert.deepEqual(await notes(), ['kept']);
  assert.equal(services.sql.waitingCount, 0);
});

test('a connection that broke inside a transaction is thrown away', async () => {
  const work = inTransaction(services, async (tx) => {
    await tx.$queryRaw`SELECT pg_terminate_backend(pg_backend_pid())`;
  });
  await assert.rejects(work);
  assert.deepEqual(await notes(), ['kept']);
});

test('a connection whose query timed out inside a transaction is not waited for by the next caller', async () => {
  const hasty = connectDatabase(services.databaseUrl, services.log, { queryMs: 400, defaultScope: 'owner' });
  const sleep = inTransaction(hasty, async (tx) => void (await tx.$executeRaw`SELECT pg_sleep(5)`));
  await assert.rejects(sleep, isDatabaseUnavailable);
  assert.equal(hasty.sql.totalCount, 0);
  assert.deepEqual((await hasty.sql.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  await hasty.sql.end();
});

test('what Prisma throws is known for an outage', async () => {
  const { db } = connectDatabase('postgresql://postgres@127.0.0.1:1/none', services.log);
  await assert.rejects(db.job.count(), isDatabaseUnavailable);
  await assert.rejects(db.$queryRaw`SELECT 1`, isDatabaseUnavailable);
  await assert.rejects(
    inTransaction({ db }, async (tx) => await tx.job.count()),
    isDatabaseUnavailable,
  );
  const outbox = { teamId: 'x', topic: 'x', payload: {} };
  const killed = inTransaction(services, async (tx) => {
    await tx.$queryRaw`SELECT pg_terminate_backend(pg_backend_pid())`.catch(() => {});
    await tx.outbox.create({ data: outbox });
  });
  await assert.rejects(killed, isDatabaseUnavailable);
  const readOnly = inTransaction(services, async (tx) => {
    await tx.$executeRaw`SET TRANSACTION READ ONLY`;
    await tx.outbox.create({ data: outbox });
  });
  await assert.rejects(readOnly, isDatabaseUnavailable);
  const twice = inTransaction(services, async (tx) => {
    await tx.team.create({ data: { id: 'x', name: 'x' } });
    await tx.team.create({ data: { id: 'x', name: 'x' } });
  });
  await assert.rejects(twice, (error) => !isDatabaseUnavailable(error));
});

test('times are what they are, whatever the time zone of the server', async () => {
  const team = await createTestTeam(services);
  const name = new URL(services.databaseUrl).pathname.slice(1);
  await services.sql.query(`ALTER DATABASE ${name} SET timezone = 'Asia/Tokyo'`);
  const zoned = connectDatabase(services.databaseUrl, services.log, { defaultScope: 'owner' });
  const where = { teamId: team.id };
  const written = new Date('2026-01-02T03:04:05.678Z');
  const { createdAt } = await zoned.db.apiKey.findFirstOrThrow({ where });
  await zoned.db.apiKey.updateMany({ where, data: { revokedAt: written } });
  const { rows } = await services.sql.query(
    'SELECT created_at AS "createdAt", revoked_at AS "revokedAt" FROM api_keys WHERE team_id = $1',
    [team.id],
  );
  assert.deepEqual(rows, [{ createdAt, revokedAt: written }]);
  await zoned.sql.end();
  await services.sql.query(`ALTER DATABASE ${name} RESET timezone`);
});

describe('migrations', () => {
  const extra: Migration = {
    name: '29990101000000_extra',
    sql: 'CREATE TABLE extra (id INT); INSERT INTO extra VALUES (1)',
    checksum: 'c1',
  };
  let known: Migration[];
  before(async () => {
    known = await readMigrations();
  });

  test('those missing are applied once, however many start together', async () => {
    assert.deepEqual(await migrateDatabase(services), []);
    const rounds = await Promise.all([1, 2, 3].map(() => migrateDatabase(services, [...known, extra])));
    assert.deepEqual(rounds.flat(), [extra.name]);
  });

  test('one that fails leaves nothing and is tried again', async () => {
    const broken = { ...extra, name: '29990102000000_broken', sql: 'CREATE TABLE half (id INT); SELECT 1/0' };
    await assert.rejects(
      migrateDatabase(services, [...known, extra, broken]),
      /29990102000000_broken failed: division by zero/,
    );
    await assert.rejects(services.sql.query('SELECT * FROM half'), { code: '42P01' });
    const mended = { ...broken, sql: 'CREATE TABLE half (id INT)' };
    assert.deepEqual(await migrateDatabase(services, [...known, extra, mended]), [broken.name]);
    await services.sql.query('DELETE FROM _prisma_migrations WHERE migration_name = $1', [broken.name]);
  });

  test('one that Prisma left unfinished is applied again, once Prisma has stopped applying it', async () => {
    const left = { ...extra, name: '29990103000000_left', sql: 'CREATE TABLE "left" (id INT)' };
    const leave = async () =>
      await services.sql.query(
        `INSERT INTO _prisma_migrations (id, checksum, migration_name, logs) VALUES (gen_random_uuid(), 'earlier', $1, 'failed')`,
        [left.name],
      );
    await leave();
    const prisma = await services.sql.connect();
    await prisma.query('SELECT pg_advisory_lock(72707369)');
    const started = migrateDatabase(services, [...known, extra, left]);
    assert.equal(await Promise.race([started, sleep(300)]), undefined, 'waits for Prisma');
    await prisma.query('SELECT pg_advisory_unlock(72707369)');
    prisma.release();
    assert.deepEqual(await started, [left.name]);
    const { rows } = await services.sql.query(
      'SELECT finished_at IS NOT NULL AS finished, rolled_back_at IS NOT NULL AS "rolledBack" FROM _prisma_migrations WHERE migration_name = $1 ORDER BY started_at',
      [left.name],
    );
    assert.deepEqual(rows, [
      { finished: false, rolledBack: true },
      { finished: true, rolledBack: false },
    ]);
    // As if the process was killed between the commit of the migration and that of its bookkeeping row.
    await services.sql.query('DELETE FROM _prisma_migrations WHERE migration_name = $1', [left.name]);
    await leave();
    await assert.rejects(
      migrateDatabase(services, [...known, extra, left]),
      /_left failed: relation "left" already exists\. .*`npx prisma migrate resolve --applied 29990103000000_left`/,
    );
    await services.sql.query('DELETE FROM _prisma_migrations WHERE migration_name = $1', [left.name]);
  });

  test('a changed or unknown one stops the start', async () => {
    const changed = [...known, { ...extra, checksum: 'c2' }];
    await assert.rejects(migrateDatabase(services, changed), /_extra was changed after it was applied/);
    await assert.rejects(
      migrateDatabase(services, known),
      /_extra, which this version of Graft does not know/,
    );
  });
});

interface Row {
  id: string;
  text: string;
}

/** A list in memory that is read as Prisma reads a table, and the number of rows of each read. */
function tableOf(rows: Row[]) {
  const reads: number[] = [];
  return {
    reads,
    rows,
    has: async (id: string) => rows.filter((row) => row.id === id).length,
    read: async ({ take, cursor }: { take: number; cursor?: { id: string } }) => {
      const from = cursor ? rows.findIndex(({ id }) => id === cursor.id) : 0;
      const found = from < 0 ? [] : rows.slice(from, from + take);
      reads.push(found.length);
      return found;
    },
    toRecord: ({ id }: Row) => id,
  };
}

const rowsOf = (count: number, characters: number): Row[] =>
  Array.from({ length: count }, (_, i) => ({ id: `${i}`, text: 'x'.repeat(characters) }));

/** All pages of the list, by following `has_more`. */
async function pagesOf(table: ReturnType<typeof tableOf>, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  for (let after: string | undefined; ; after = pages.at(-1)!.at(-1)) {
    const { data, hasMore } = await readPage({ limit, after }, table);
    pages.push(data);
    if (!hasMore) return pages;
  }
}

test('a page of long rows ends early, and the pages together are the list', async () => {
  const table = tableOf(rowsOf(60, 300_000));
  const pages = await pagesOf(table, 1000);
  assert.deepEqual(
    pages.map(({ length }) => length),
    [13, 13, 13, 13, 8],
  );
  assert.deepEqual(
    pages.flat(),
    table.rows.map(({ id }) => id),
  );
});

test('a row that is larger than a page is a page', async () => {
  const pages = await pagesOf(tableOf(rowsOf(3, 5 * 2 ** 20)), 20);
  assert.deepEqual(pages, [['0'], ['1'], ['2']]);
});

test('no read has more than a hundred rows, and a page of short rows is whole', async () => {
  const table = tableOf(rowsOf(2500, 10));
  const pages = await pagesOf(table, 1000);
  assert.deepEqual(
    pages.map(({ length }) => length),
    [1000, 1000, 500],
  );
  assert.ok(Math.max(...table.reads) <= 101);
  assert.equal(pages.flat().length, 2500);
});

test('the end of a list at the border of a read is its end', async () => {
  for (const count of [0, 1, 99, 100, 101, 200, 201])
    assert.equal((await pagesOf(tableOf(rowsOf(count, 1)), 1000)).flat().length, count);
});

test('a row that is deleted between two reads of a page is left out, and none after it', async () => {
  const table = tableOf(rowsOf(250, 1));
  const { read } = table;
  let reads = 0;
  table.read = async (page) => {
    if (++reads === 2) table.rows.splice(99, 1);
    return await read(page);
  };
  const { data, hasMore } = await readPage({ limit: 1000 }, table);
  assert.deepEqual([data.length, hasMore, data.includes('99')], [249, false, false]);
});
