import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RowBusy, waitForRow } from './wait-for-row.ts';

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
