import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Side, Step } from '../../scripts/measuring/processes.ts';
import { quartiles } from '../../scripts/measuring/report.ts';
import { compare, markdown, ownTable, type TrainingComparison } from './report.ts';
import { formatVerdicts, verdictsOn } from './targets.ts';
import { drawRun } from './write-docs.ts';

const side = (name: string, seconds: number[], gigabytes: number): Side => {
  const steps: Step[] = seconds.map((each, i) => ({
    seconds: each,
    loss: 3 - i,
    resident: gigabytes * 1e9,
    peak: gigabytes * 1e9,
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

const demoOf = (peft: number, gigabytes: number, workload = 'demo') =>
  compare({ name: workload, precision: 'bf16', tokens: Array(8).fill(90) }, [
    side('graft', Array(8).fill(1), 1),
    side('peft', Array(8).fill(peft), gigabytes),
  ]);

test('a target holds where what was measured reaches it, and says what that was', () => {
  const verdictsOf = (...comparisons: TrainingComparison[]) => verdictsOn({ comparisons });
  const holds = (peft: number, gigabytes: number) =>
    verdictsOf(demoOf(peft, gigabytes)).map(({ value, holds }) => [value, holds]);
  assert.deepEqual(holds(4, 2.5), [
    [4, true],
    [0.4, true],
  ]);
  assert.deepEqual(holds(3, 1.25), [
    [3, false],
    [0.8, false],
  ]);
  assert.equal(
    formatVerdicts(verdictsOf(demoOf(3, 2.5))),
    '✖ demo, bf16: speed, against peft: 3.00×, to be at least 3.50×\n' +
      '✔ demo, bf16: peak memory, against peft: 0.40×, to be at most 0.50×',
  );
});

test("targets of memory hold one workload's peak against another's, and of the start its seconds", () => {
  const quartilesOf = (median: number) => ({ lower: median, median, upper: median });
  const start = { cold: quartilesOf(4), warm: quartilesOf(0.9), queue: { jobs: 4, tokens: 90, seconds: 9 } };
  const nf4 = { ...demoOf(4, 2.5), workload: 'demo-nf4' };
  nf4.sides[0]!.peakBytes = 0.9e9;
  const text = formatVerdicts(verdictsOn({ comparisons: [demoOf(4, 2.5), nf4], start }));
  assert.match(text, /^✖ demo-nf4: peak memory, against demo: 0\.90×, to be at most 0\.80×$/m);
  assert.match(text, /^✖ first step of a job, cold: 4\.0 s, to be at most 3\.0 s$/m);
  assert.match(text, /^✔ first step of a job, warm: 0\.9 s, to be at most 1\.0 s$/m);
  assert.doesNotMatch(text, /the demo, set up before/);
});

test('the wall is no rival: what its products take is a share of the step, pair by pair', () => {
  const { sides, wall } = compare(
    { name: 'synthetic', precision: 'fp32', tokens: Array(8).fill(90), flops: 30e9 },
    [side('graft', [9, 9, 9, 1, 2, 1, 1, 1], 1), side('wall', [9, 9, 9, 0.75, 1.5, 0.75, 0.75, 0.75], 1)],
  );
  assert.deepEqual(
    sides.map(({ name }) => name),
    ['graft'],
  );
  assert.deepEqual(wall, {
    flops: 30e9,
    flopsPerSecond: 40e9,
    share: { lower: 0.75, median: 0.75, upper: 0.75 },
  });
  const run = {
    comparisons: [{ workload: 'synthetic', precision: 'fp32', tokens: 90, sides, wall: wall! } as const],
  };
  assert.match(
    formatVerdicts(verdictsOn(run)),
    /^✔ synthetic, fp32: share of the wall: 75 %, to be at least 70 %$/,
  );
  assert.match(ownTable(run.comparisons), /\| 30 +\| 40 +\| 75 % /);
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
