import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentSums } from './recent-sums.ts';

test('a sum is forgotten after its time, and the least recent of too many keys', () => {
  let now = 0;
  const sums = new RecentSums(100, () => now);
  sums.add('a');
  now = 99;
  sums.add('a', 2);
  assert.equal(sums.of('a'), 3);
  now = 100;
  assert.equal(sums.of('a'), 0);
  sums.add('a');
  for (let i = 0; i < 256; i++) sums.add(`other ${i}`);
  assert.deepEqual([sums.of('a'), sums.of('other 0'), sums.of('other 255')], [0, 1, 1]);
});
