import assert from 'node:assert/strict';
import { test } from 'node:test';
import { estimateStarts } from './queue-positions.ts';

const nothing = { slots: 1, dispatched: 0, queued: 3, running: [], ran: [60] };

test('nothing ran, or no worker lives: nothing is known', () => {
  assert.equal(estimateStarts({ ...nothing, ran: [] })(1), null);
  assert.equal(estimateStarts({ ...nothing, slots: 0 })(1), null);
});

test('jobs that are all alike begin one after the other, behind those that run and those that are dispatched', () => {
  const running = [{ held: 20, left: null }];
  const estimate = estimateStarts({ ...nothing, running, dispatched: 1 });
  assert.deepEqual(
    [1, 2, 3].map((place) => estimate(place)!.median),
    [100, 160, 220],
  );
  const startOf = estimateStarts({ ...nothing, running: [{ held: 20, left: 5 }] });
  assert.deepEqual(startOf(2), { median: 65, late: 65 });
  const two = estimateStarts({ ...nothing, slots: 2 });
  assert.deepEqual(
    [1, 2, 3].map((place) => two(place)!.median),
    [0, 0, 60],
  );
});

test('what varied is reported as it varied, and the same each time', () => {
  const ran = Array.from({ length: 100 }, (_, i) => (i < 80 ? 60 : 600));
  const history = { ...nothing, queued: 50, ran };
  const estimate = estimateStarts(history);
  assert.deepEqual(estimate(2), { median: 60, late: 600 });
  const { median, late } = estimate(41)!;
  // Forty jobs of 168 s on average.
  assert.ok(Math.abs(median - 6720) < 1500, `${median}`);
  assert.ok(late > median && late < 1.6 * 6720, `${late}`);
  assert.deepEqual(estimateStarts(history)(41), { median, late });
});

test('ten thousand places cost no more than the first five hundred, and continue at the same pace', () => {
  const estimate = estimateStarts({ ...nothing, slots: 4, queued: 10_000, ran: [30, 90] });
  const far = estimate(10_000)!.median;
  assert.ok(Math.abs(far - 150_000) < 3000, `${far}`);
});
