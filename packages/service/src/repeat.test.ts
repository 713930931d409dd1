import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { repeat } from './repeat.ts';

const lines: { component: string; msg: string }[] = [];
const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });

test('a series of rounds that fail is logged once, and its end', async () => {
  let rounds = 0;
  const loop = repeat(
    'series',
    1,
    async () => {
      rounds += 1;
      if (rounds <= 3) throw new Error('no');
    },
    log,
  );
  while (rounds < 5) await sleep(5);
  await loop.stop();
  assert.deepEqual(
    lines.map(({ component, msg }) => [component, msg]),
    [
      ['series', 'loop round failed'],
      ['series', 'loop works again'],
    ],
  );
});

test('wake ends the pause, also when it is called during a round; stop waits for the round', async () => {
  let rounds = 0;
  let finish = () => {};
  const loop = repeat(
    'woken',
    3_600_000,
    async () => {
      rounds += 1;
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    },
    log,
  );
  const begun = async (count: number) => {
    while (rounds < count) await sleep(1);
  };
  await begun(1);
  loop.wake();
  finish();
  await begun(2);
  finish();
  await sleep(5);
  loop.wake();
  await begun(3);
  let stopped = false;
  const stopping = loop.stop().then(() => {
    stopped = true;
  });
  await sleep(5);
  assert.equal(stopped, false);
  finish();
  await stopping;
  assert.equal(rounds, 3);
});
