import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spread } from '../harness/recovery.ts';
import { scenarios } from '../scenarios/index.ts';
import { type Entry, merged, reliabilityDoc } from './reliability-doc.ts';
import type { Result } from './result.ts';
import { summary } from './table.ts';

const result: Result = {
  scenario: 'worker-killed',
  title: 'kill -9 of a worker',
  queue: 'redis',
  seed: 7,
  profile: 'long',
  timings: 'production',
  missing: [],
  tried: 3,
  survived: 2,
  recoveries: [1000, 2000, 66_000],
  figures: [{ name: 'create p99', value: 130, unit: 'ms', most: 100 }],
  failures: [{ oracle: 'job x', detail: '1 train losses are missing' }],
  seconds: 90,
  logs: '/logs',
};

test('the table lists scenarios with their survivals, and each failure with the command that repeats it', () => {
  const text = summary([
    result,
    { ...result, title: 'disk full', missing: ['mounts'], failures: [], figures: [] },
  ]);
  assert.match(text, /kill -9 of a worker +redis +3 +2 +2\.0 s +66\.0 s +66\.0 s +1\.5/);
  assert.match(text, /disk full +redis +left out +no mounts/);
  assert.match(text, /create p99 130 ms \(OVER 100 ms\)/);
  assert.match(
    text,
    /job x: 1 train losses are missing\n +again: npm run chaos -- --profile long --only worker-killed --seed 7/,
  );
});

const entry: Entry = {
  ...result,
  recoveries: '1000 2000 66000',
  minutes: 1.5,
  on: '2026-11-26',
  commit: 'abc1234',
  machine: 'a machine',
};
const passed: Entry = { ...entry, survived: 3, failures: [] };

test('the page lists the same, and never claims that nothing was lost when something was', () => {
  const page = reliabilityDoc([entry], scenarios);
  assert.match(
    page,
    /\| kill -9 of a worker \| redis \| production \| 3 \| 2 \| 2\.0 s \| 66\.0 s \| 66\.0 s \| 2026-11-26, abc1234; seed 7 \|/,
  );
  assert.ok(!page.includes('Nothing was lost.'));
  assert.match(page, /3 faults, 2 of them survived/);
  assert.match(page, /- \*\*worker-killed\*\*: /);
  assert.match(page, /Not run yet: repeated kills; /);
  assert.match(reliabilityDoc([passed], scenarios), /Nothing was lost\./);
});

test('runs of several seeds are combined into one row', () => {
  const figures = [
    { name: 'jobs', value: 3, unit: '' },
    { name: 'create p99', value: 90, unit: 'ms', most: 100 },
  ];
  const other: Entry = { ...passed, seed: 8, recoveries: '500', figures, on: '2026-11-27' };
  const page = reliabilityDoc([{ ...passed, figures: [...passed.figures, figures[0]!] }, other], scenarios);
  assert.match(
    page,
    /\| production \| 6 \| 6 \| 1\.0 s \| 66\.0 s \| 66\.0 s \| 2026-11-26, abc1234; 2026-11-27, abc1234; seeds 7, 8 \|/,
  );
  assert.match(
    page,
    /- kill -9 of a worker \(redis, production leases\): create p99 130 ms \(OVER 100 ms\), jobs 6\./,
  );
  const { recoveries, ...old } = { ...other, recovery: { p50: 1, p99: 70_000, worst: 80_000 } };
  assert.match(reliabilityDoc([passed, old], scenarios), /\| 2\.0 s \| 70\.0 s \| 80\.0 s \|/);
});

test('runs add up: the newest of each scenario and seed counts, a shorter one only when something was lost', () => {
  const shorter = { ...passed, tried: 1, survived: 1 };
  assert.deepEqual(merged([passed], [shorter], scenarios), [passed]);
  assert.deepEqual(merged([passed], [{ ...shorter, failures: entry.failures }], scenarios)[0]!.tried, 1);
  assert.deepEqual(merged([entry], [shorter], scenarios), [shorter]);
  const others: Entry[] = [
    { ...passed, scenario: 'disk-full' },
    { ...passed, timings: 'test' },
    { ...passed, seed: 8 },
    { ...passed, queue: 'postgres' },
    { ...passed, scenario: 'gone' },
  ];
  assert.deepEqual(
    merged(others, [passed], scenarios).map(({ scenario, queue, timings }) => [scenario, queue, timings]),
    [
      ['worker-killed', 'postgres', 'production'],
      ['worker-killed', 'redis', 'test'],
      ['worker-killed', 'redis', 'production'],
      ['worker-killed', 'redis', 'production'],
      ['disk-full', 'redis', 'production'],
    ],
  );
});

test('percentiles are computed from the recorded values', () => {
  assert.deepEqual(spread([3, 1, 2]), { p50: 2, p99: 3, worst: 3 });
  assert.equal(spread([]), null);
});
