import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import type { Services } from '../services.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { withReaderConnections, withSystemScope, withTeamScope } from './database-scope.ts';
import { isDatabaseUnavailable } from './database-unavailable.ts';
import type { FencedPool } from './fenced-pool.ts';
import { inTransaction } from './in-transaction.ts';
import { RowBusy, waitForRow } from './wait-for-row.ts';

let services: Services;
before(async () => {
  services = await openTestServices({ role: 'api' });
});
after(async () => await services.close());

test('readers find connections while work that may write holds and awaits all others', async () => {
  const sql = services.sql as FencedPool;
  const held: PoolClient[] = [];
  for (let i = 0; i < 7; i++) held.push(await sql.connect());
  const waiting = [
    withTeamScope('one', async () => await sql.query("SELECT current_setting('graft.team_id') AS team")),
    withTeamScope('two', () =>
      inTransaction(
        services,
        async (tx) =>
          await tx.$queryRaw`
      SELECT current_setting('graft.team_id') AS team`,
      ),
    ),
  ] as const;
  while (sql.waitingWriters < 2) await new Promise(setImmediate);
  const read = async () => [
    (await sql.query('SELECT 1 AS one')).rows,
    await withSystemScope(() => services.db.team.count()),
    await withTeamScope('three', () => inTransaction(services, async (tx) => await tx.team.count())),
  ];
  for (const answer of await Promise.all(Array.from({ length: 6 }, () => withReaderConnections(read))))
    assert.deepEqual(answer, [[{ one: 1 }], 0, 0]);
  assert.equal(sql.waitingWriters, 2);
  // Each waits on for its own team, whichever releases the connection.
  await withTeamScope('three', async () => held.pop()!.release());
  assert.deepEqual((await waiting[0]).rows, [{ team: 'one' }]);
  assert.deepEqual(await waiting[1], [{ team: 'two' }]);
  for (const client of held) client.release();
  assert.equal(sql.waitingWriters, 0);
});

test('work that waits for too long for a connection is an outage, and the next finds one', async () => {
  const sql = services.sql as FencedPool;
  const held = await Promise.all(Array.from({ length: 7 }, () => sql.connect()));
  await assert.rejects(sql.query('SELECT 1'), isDatabaseUnavailable);
  // One that is broken is returned, too.
  for (const [i, client] of held.entries()) client.release(i % 2 === 0);
  const all = await Promise.all(Array.from({ length: 30 }, () => sql.query('SELECT 1 AS one')));
  assert.ok(all.every(({ rows }) => rows[0].one === 1));
});

test('a caller that waits behind others that get the row, one after the other, gets it as well, however slow they are', async () => {
  // Longer in total than the wait for a row that is never released.
  const slow = Array.from({ length: 4 }, (_, i) =>
    waitForRow('slow', async () => {
      await sleep(600);
      if (i === 2) throw new Error('refused');
    }),
  );
  const last = waitForRow('slow', async () => 'done');
  const outcomes = await Promise.allSettled(slow);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
  );
  assert.equal(await last, 'done');
});

test('for a row that nobody releases, all waiting callers are refused, without another query each', async () => {
  let looks = 0;
  const first = waitForRow('stuck', async () => {
    throw new RowBusy();
  });
  const others = Array.from({ length: 20 }, () => waitForRow('stuck', async () => void looks++));
  for (const each of await Promise.allSettled([first, ...others])) assert.equal(each.status, 'rejected');
  assert.equal(looks, 0);
});
