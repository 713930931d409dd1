import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Side, Step } from './lock-step.ts';
import { compare, markdown, quartiles } from './report.ts';

const side = (name: string, seconds: number[], gigabytes: number): Side => {
  const steps: Step[] = seconds.map((each, i) => ({
    ...{ seconds: each, loss: 3 - i, resident: gigabytes * 1e9, peak: gigabytes * 1e9 },
  }));
  return { name, steps, firstStepAfter: 2 } as Side;
};

test('ratios are those of pairs of steps, so that a slow moment slows both sides', () => {
  const comparison = compare({ name: 'demo', precision: 'fp32', tokens: Array(8).fill(90) }, [
    side('graft', [9, 9, 9, 1, 2, 1, 1, 1], 1),
    side('peft', [9, 9, 9, 2, 4, 2, 2, 3], 2),
  ]);
  const [graft, peft] = comparison.sides;
  assert.equal(comparison.tokens, 90);
  assert.equal(graft!.seconds, 1);
  assert.equal(graft!.tokensPerSecond, 90);
  assert.deepEqual(graft!.speedup, { lower: 1, median: 1, upper: 1 });
  assert.deepEqual(peft!.speedup, { lower: 2, median: 2, upper: 2 });
  const table = markdown([comparison], { cores: '2' }, 'A run');
  assert.match(table, /\| demo \| fp32 .* 2\.00× .* 0\.50×/);
});

test('quartiles lie between values where they must', () => {
  assert.deepEqual(quartiles([4, 1, 3, 2]), { lower: 1.75, median: 2.5, upper: 3.25 });
});
