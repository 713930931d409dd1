import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawRun } from './draw.ts';
import type { Side, Step } from './lock-step.ts';
import { compare, markdown, quartiles } from './report.ts';
import { tellVerdicts, verdictsOn } from './targets.ts';

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

test('a target holds where speed and memory reach it, and says what was measured where not', () => {
  const comparisonOf = (peft: number, gigabytes: number) =>
    compare({ name: 'demo', precision: 'bf16', tokens: Array(8).fill(90) }, [
      side('graft', Array(8).fill(1), 1),
      side('peft', Array(8).fill(peft), gigabytes),
    ]);
  const [reached] = verdictsOn([comparisonOf(4, 2.5)]);
  assert.deepEqual([reached!.holds, reached!.measured], [true, { speed: 4, memory: 0.4 }]);
  assert.equal(verdictsOn([comparisonOf(3, 2.5)])[0]!.holds, false);
  const large = verdictsOn([comparisonOf(4, 1.5)]);
  assert.match(
    tellVerdicts(large),
    /^✖ demo, bf16, against peft: 4.00× its speed, to be 3.5×; 0.67× its memory, to be 0.5×$/,
  );
});

test('a run is drawn with a bar for each rival', () => {
  const comparison = compare({ name: 'demo', precision: 'bf16', tokens: Array(8).fill(90) }, [
    side('graft', Array(8).fill(1), 1),
    side('peft', Array(8).fill(4), 2),
    side('expert', Array(8).fill(2), 2),
  ]);
  const { speed, memory } = drawRun([comparison]);
  assert.match(speed, /demo, bf16: 4\.00×; demo, bf16 \(expert\): 2\.00×/);
  assert.equal(speed.match(/class="bar"/g)!.length, 2);
  assert.match(memory, /demo, bf16: 0\.50×/);
});
