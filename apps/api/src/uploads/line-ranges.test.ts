import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineRanges } from './line-ranges.ts';

function rangesOf(lines: Iterable<number>): LineRanges {
  const ranges = new LineRanges();
  for (const line of lines) ranges.add(line);
  return ranges;
}

test('neighbours are one range, and those before a line are left out', () => {
  const ranges = rangesOf([2, 3, 4, 7, 9, 10]);
  assert.equal(ranges.count, 6);
  assert.equal(ranges.after(0), 'lines 2-4, 7, 9-10');
  assert.equal(ranges.after(3), 'lines 4, 7, 9-10');
  assert.equal(ranges.after(9), 'line 10');
  assert.equal(ranges.after(10), '');
});

test('a file of scattered faults is listed up to a bound, the rest counted', () => {
  const ranges = rangesOf(Array.from({ length: 1500 }, (_, i) => 2 * i + 1));
  assert.equal(ranges.count, 1500);
  assert.match(ranges.after(0), /^lines 1, 3, 5, .*, 1999 and 500 more$/);
});
