import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '../services.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { connectDatabase } from './database.ts';
import { runExclusive } from './run-exclusive.ts';

let services: Services;
before(async () => {
  services = await openTestServices();
});
after(async () => await services.close());

test('of all that ask, one runs at a time; the others are told at once', async () => {
  let running = 0;
  const second = connectDatabase(services.databaseUrl, services.log, { defaultScope: 'system' });
  const attempt = (db: { sql: Services['sql'] }) =>
    runExclusive(db, 'test', async () => {
      running += 1;
      assert.equal(running, 1);
      await sleep(300);
      running -= 1;
      return 'done';
    });
  const outcomes = await Promise.all([services, second, services, second].map(attempt));
  assert.deepEqual(
    outcomes.filter(({ ran }) => ran),
    [{ ran: true, result: 'done' }],
  );
  assert.ok((await attempt(second)).ran, 'free again');
  await assert.rejects(
    runExclusive(services, 'test', () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.ok((await attempt(second)).ran, 'free again after a fault');
  assert.ok(
    (await runExclusive(services, 'other', async () => (await attempt(services)).ran)).ran,
    'names are apart',
  );
  await second.sql.end();
});

test('a turn tells for how long it was nobody’s, by the clock of Postgres', async () => {
  const idle = async () => {
    const outcome = await runExclusive(services, 'idle', async ({ idleSeconds }) => idleSeconds);
    return outcome.ran ? outcome.result : assert.fail('free');
  };
  assert.equal(await idle(), null);
  assert.ok((await idle())! < 60);
  await services.sql.query("UPDATE loop_turns SET until = until - interval '1 hour' WHERE name = 'idle'");
  assert.ok((await idle())! > 3500);
});

test('a turn lasts as long as its work, and a frozen holder’s expires', async () => {
  const holder = fork(new URL('./testing/turn-holder.ts', import.meta.url), [services.databaseUrl]);
  try {
    await once(holder, 'message');
    await sleep(3500);
    const take = async () => (await runExclusive(services, 'held', async () => {})).ran;
    assert.equal(await take(), false, 'it is renewed');
    holder.kill('SIGSTOP');
    const end = performance.now() + 20_000;
    while (!(await take())) {
      assert.ok(performance.now() < end, 'others go on');
      await sleep(100);
    }
  } finally {
    holder.kill('SIGKILL');
  }
});
