import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spread } from '../harness/recovery.ts';
import { scenarios } from '../scenarios/index.ts';
import { reliabilityDoc } from './reliability-doc.ts';
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

test('the table tells what was tried and survived; a failure is told with the command that repeats it', () => {
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

test('the page tells the same, and never that nothing was lost when something was', () => {
  const page = reliabilityDoc([result], scenarios, 'a machine');
  assert.match(
    page,
    /\| kill -9 of a worker \| redis \| production \| 3 \| 2 \| 2\.0 s \| 66\.0 s \| 66\.0 s \|/,
  );
  assert.ok(!page.includes('Nothing was lost.'));
  assert.match(page, /- \*\*worker-killed\*\*: /);
  assert.match(reliabilityDoc([{ ...result, failures: [] }], scenarios, 'a machine'), /Nothing was lost\./);
});

test('percentiles are of the values that were seen', () => {
  assert.deepEqual(spread([3, 1, 2]), { p50: 2, p99: 3, worst: 3 });
  assert.equal(spread([]), null);
});
