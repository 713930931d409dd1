import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mixedOrder } from './mixed-order.ts';

/** How often each example of each file is in these epochs. */
function seen(examples: number[], counts: number[], epochs: number[], seed = 3): number[] {
  const order = mixedOrder({ examples, counts }, seed);
  const times = new Array<number>(examples.reduce((sum, count) => sum + count, 0)).fill(0);
  for (const epoch of epochs) for (const example of order(epoch)) times[example]!++;
  return times;
}

test('each epoch has the number of examples of each file that is requested', () => {
  const times = seen([10, 4, 6], [5, 12, 6], [2]);
  const of = (from: number, to: number) => times.slice(from, to).reduce((sum, count) => sum + count, 0);
  assert.deepEqual([of(0, 10), of(10, 14), of(14, 20)], [5, 12, 6]);
});

test('no example comes a second time before its whole file was seen', () => {
  assert.deepEqual(new Set(seen([10], [5], [0, 1])), new Set([1]));
  assert.deepEqual(new Set(seen([10], [5], [2, 3])), new Set([1]));
  // 3 of 7 in each epoch: after seven epochs each three times, and never two more often than another.
  for (let epochs = 1; epochs <= 7; epochs++) {
    const times = seen([7], [3], [...Array(epochs).keys()]);
    assert.ok(Math.max(...times) - Math.min(...times) <= 1, `${times}`);
  }
  assert.deepEqual(new Set(seen([7], [3], [...Array(7).keys()])), new Set([3]));
  assert.deepEqual(new Set(seen([4, 1], [12, 5], [0])), new Set([3, 5]));
});

test('an epoch is the same whatever was computed before, and another of another seed', () => {
  const files = { examples: [20, 30], counts: [13, 45] };
  const order = mixedOrder(files, 1);
  order(0);
  assert.deepEqual(order(5), mixedOrder(files, 1)(5));
  assert.notDeepEqual(order(5), mixedOrder(files, 2)(5));
  assert.notDeepEqual(order(5), order(6));
});

test('files are mixed throughout an epoch', () => {
  const order = mixedOrder({ examples: [500, 500], counts: [500, 500] }, 7)(0);
  const half = order.subarray(0, 500).filter((example) => example < 500).length;
  // Five standard deviations of a hypergeometric distribution.
  assert.ok(Math.abs(half - 250) < 5 * Math.sqrt(1000 / 16), `${half}`);
});

test('a file without examples, as a split may leave it, has no place', () => {
  assert.deepEqual(new Set(seen([0, 3], [0, 3], [0])), new Set([1]));
});
