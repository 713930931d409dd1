import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Comparison, rungsOf, sweepSteps } from '../../config/index.ts';
import { type SweepSegment, sweepProgress, type TrialProgress } from './sweep-progress.ts';

/** All segments of a sweep in which `lossOf` returns a trial's loss at a step; null: the trial diverges before it. */
function run(
  trials: number,
  lossOf: (trial: number, step: number) => number | null,
  {
    comparison = 'early',
    metricOf,
  }: { comparison?: Comparison; metricOf?: (trial: number, step: number) => number } = {},
) {
  const rungs = rungsOf(trials, 90, 10, comparison);
  const state = Array.from({ length: trials }, () => ({
    losses: [] as number[],
    diverged: false,
    ...(metricOf && { values: [] as number[] }),
  }));
  const segments: SweepSegment[] = [];
  const running: number[][] = [];
  for (;;) {
    const progress = sweepProgress(rungs, state satisfies TrialProgress[]);
    const { winner, total } = progress;
    if (!progress.next) return { segments, running, winner, rungs, total };
    segments.push(progress.next);
    running.push([...progress.running]);
    const { trial, until } = progress.next;
    const loss = lossOf(trial, until);
    if (loss === null) state[trial]!.diverged = true;
    else {
      state[trial]!.losses.push(loss);
      state[trial]!.values?.push(metricOf!(trial, until));
    }
  }
}

test('the best third of each rung continues, in order, and steps are counted over all', () => {
  // The second trial leads at the first rung, and the last overtakes it.
  const { segments, winner, rungs } = run(9, (trial, step) =>
    trial === 1 ? 5 : step < 30 && trial === 8 ? 6 : 9 - trial + 6,
  );
  assert.deepEqual(
    segments.filter(({ from }) => from > 0).map(({ trial, from, until }) => [trial, from, until]),
    [
      [1, 10, 30],
      [7, 10, 30],
      [8, 10, 30],
      [1, 30, 90],
    ],
  );
  assert.equal(winner, 1);
  let steps = 0;
  for (const { before, from, until } of segments) {
    assert.equal(before, steps);
    steps += until - from;
  }
  assert.equal(steps, sweepSteps(9, rungs));
});

test('a trial that surely does not continue is dropped before the rung ends', () => {
  const { running } = run(9, (trial) => trial);
  assert.deepEqual(running[5], [0, 1, 2, 5, 6, 7, 8]);
  assert.deepEqual(running[9], [0, 1, 2]);
});

test('of equal losses the first wins, and one that is not a number never', () => {
  assert.equal(run(4, () => 1).winner, 0);
  assert.equal(run(4, (trial) => (trial < 2 ? Number.NaN : 1)).winner, 2);
});

test('a trial that diverges is out, its steps stay planned, and with none left there is no winner', () => {
  const { segments, winner, rungs } = run(9, (trial, step) => (trial < 6 || step === 30 ? null : trial));
  assert.equal(winner, null);
  assert.deepEqual(
    segments.slice(-3).map(({ trial, before }) => [trial, before]),
    [
      [6, 90],
      [7, 110],
      [8, 130],
    ],
  );
  const one = run(9, (trial) => (trial === 4 ? 1 : null));
  assert.equal(one.winner, 4);
  const last = one.segments.at(-1)!;
  assert.equal(last.before + last.until - last.from, sweepSteps(9, rungs));
});

test('few trials all train to the end, and more are compared once, where half is done', () => {
  const late = { comparison: 'late' } as const;
  const few = run(4, (trial) => 9 - trial, late);
  assert.deepEqual(
    few.segments.map(({ trial, until }) => [trial, until]),
    [0, 1, 2, 3].map((trial) => [trial, 90]),
  );
  assert.deepEqual([few.winner, few.total], [3, 360]);
  // The last trial is behind at half of the steps, but among the best third, and overtakes the others.
  const nine = run(
    9,
    (trial, step) => (trial === 8 && step === 90 ? 0 : trial === 8 ? 2.5 : trial + 1),
    late,
  );
  assert.deepEqual(
    nine.segments.filter(({ from }) => from > 0).map(({ trial, from }) => [trial, from]),
    [0, 1, 8].map((trial) => [trial, 50]),
  );
  assert.deepEqual([nine.winner, nine.total], [8, 9 * 50 + 3 * 40]);
});

test('the deciding metric precedes the loss, and trials that tie in both continue together', () => {
  const metricOf = (trial: number, step: number) => (step === 90 ? trial : [5, 1, 2, 2, 2, 2][trial]!);
  const losses = [0, 9, 3, 4, 3, 3];
  const { segments, winner, total, rungs, running } = run(6, (trial) => losses[trial]!, {
    comparison: 'late',
    metricOf,
  });
  const after = segments.filter(({ from }) => from > 0);
  // Two trials continue, and with the second those with exactly equal measurements: not the fourth, nor the first, with the lowest loss.
  assert.deepEqual(
    after.map(({ trial }) => trial),
    [1, 2, 4, 5],
  );
  assert.deepEqual([...running[6]!], [1, 2, 4, 5]);
  assert.equal(winner, 1);
  assert.equal(total, sweepSteps(6, rungs) + 2 * 40);
  const last = segments.at(-1)!;
  assert.equal(last.before + last.until - last.from, total);
  // An earlier version cut ties by trial order.
  const cut = run(9, () => 1);
  assert.deepEqual([cut.segments.length, cut.total], [9 + 3 + 1, sweepSteps(9, cut.rungs)]);
});
