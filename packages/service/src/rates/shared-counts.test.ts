/** Both stores behave the same, also while unavailable. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { Services } from '../services.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { openCountStore } from './count-stores.ts';
import { type CountStore, openSharedCounts, type SharedCounts } from './shared-counts.ts';

const redisUrl = process.env.REDIS_URL;
const silent = pino({ level: 'silent' });

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 15_000; !holds(); await sleep(20)) assert.ok(performance.now() < end);
}

for (const backend of ['postgres', 'redis'] as const) {
  describe(backend, { skip: backend === 'redis' && !redisUrl ? 'REDIS_URL is not set' : false }, () => {
    let services: Services;
    before(async () => {
      services = await openTestServices({ env: { REDIS_URL: backend === 'redis' ? redisUrl : '' } });
    });
    after(async () => await services.close());

    test('processes add up, minute by minute', async () => {
      let time = 1_000_000 * 60_000;
      const open = async () =>
        openSharedCounts(await openCountStore(services, services.env), {
          syncMs: 20,
          log: silent,
          now: () => time,
        });
      const [one, two] = [await open(), await open()];
      try {
        for (let i = 0; i < 3; i++) two.add('a');
        two.add('b');
        // A process learns the other's counts when it sends its own.
        const hears = async (process: SharedCounts, own: number) =>
          await until(() => process.read('a') > own || process.add('a') > ++own);
        await hears(one, 0);
        await hears(two, 3);
        assert.equal(one.read('b'), 0);
        time += 61_000;
        assert.deepEqual([one.read('a'), two.add('a')], [0, 1]);
        assert.equal(one.msLeft(), 59_000);
      } finally {
        await one.close();
        await two.close();
      }
    });
  });
}

test('without the store a process counts for itself, says so once, and sends all counts afterwards', async () => {
  const services = await openTestServices({ env: { REDIS_URL: '' } });
  const lines: { level: number; msg: string }[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const counts = openSharedCounts(await openCountStore(services, services.env), { syncMs: 20, log });
  const stored = async () => {
    const { rows } = await services.sql.query(
      "SELECT sum(count)::int AS n FROM rate_counts WHERE name = 'a'",
    );
    return rows[0].n as number | null;
  };
  try {
    await services.sql.query('ALTER TABLE rate_counts RENAME TO away');
    for (let i = 1; i <= 30; i++) assert.equal(counts.add('a'), i);
    await until(() => lines.length > 0);
    await sleep(200);
    assert.deepEqual(
      lines.map(({ level, msg }) => [level, msg]),
      [[40, 'rate limits cannot be shared: each process counts for itself']],
    );
    await services.sql.query('ALTER TABLE away RENAME TO rate_counts');
    await until(() => lines.length === 2);
    assert.equal(lines[1]!.msg, 'rate limits are shared with the other processes again');
    assert.equal(await stored(), 30);
  } finally {
    await counts.close();
    await services.close();
  }
});

test('however many names there are, memory is bounded: the oldest are forgotten', async () => {
  const none: CountStore = { add: async () => new Map(), close: async () => {} };
  const counts = openSharedCounts(none, { syncMs: 60_000, log: silent, now: () => 0 });
  counts.add('first');
  for (let i = 0; i < 50_000; i++) counts.add(`address ${i}`);
  assert.deepEqual([counts.read('first'), counts.read('address 49999')], [0, 1]);
  await counts.close();
});
