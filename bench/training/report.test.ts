import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, type Measurement, markdown, median } from './report.ts';

const one = (
  side: 'graft' | 'peft',
  round: number,
  tokensPerSecond: number,
  gigabytes: number,
): Measurement => ({
  ...{ workload: 'demo', precision: 'fp32', side, round, tokensPerSecond },
  ...{ maxRssBytes: gigabytes * 1e9, finalLoss: 1 },
});

test('ratios are taken round by round, so that a slow round slows both sides', () => {
  const [comparison] = compare([
    ...[one('graft', 1, 300, 1), one('peft', 1, 200, 2)],
    ...[one('graft', 2, 150, 1), one('peft', 2, 100, 2)],
    ...[one('graft', 3, 320, 1.2), one('peft', 3, 200, 2)],
  ]);
  assert.equal(comparison!.speedRatio, 1.5);
  assert.equal(comparison!.memoryRatio, 0.5);
  assert.equal(comparison!.graft.tokensPerSecond, 300);
});

test('a side alone compares with nothing', () => {
  assert.deepEqual(compare([one('graft', 1, 300, 1)]), []);
});

test('the table says which targets were missed', () => {
  const comparisons = compare([one('graft', 1, 200, 1.9), one('peft', 1, 200, 2)]);
  const table = markdown(comparisons, { cores: '2' }, 'A run');
  assert.match(table, /1\.00× ✖ \(≥ 1\.25\)/);
  assert.match(table, /0\.95× ✖ \(≤ 0\.80\)/);
});

test('the median of an even number of values is between the middle two', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
});
