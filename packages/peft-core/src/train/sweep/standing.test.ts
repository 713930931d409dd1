import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rungsOf, sweepSteps } from '../../config/index.ts';
import { type Segment, standingOf, type TrialProgress } from './standing.ts';

/** Every segment of a sweep in which `lossOf` gives a trial's loss at a step; null: it diverges on the way there. */
function run(trials: number, lossOf: (trial: number, step: number) => number | null) {
  const rungs = rungsOf(trials, 90, 10);
  const state = Array.from({ length: trials }, () => ({ losses: [] as number[], diverged: false }));
  const segments: Segment[] = [];
  const running: number[][] = [];
  for (;;) {
    const standing = standingOf(rungs, state satisfies TrialProgress[]);
    if (!standing.next) return { segments, running, winner: standing.winner, rungs };
    segments.push(standing.next);
    running.push([...standing.running]);
    const { trial, until } = standing.next;
    const loss = lossOf(trial, until);
    if (loss === null) state[trial]!.diverged = true;
    else state[trial]!.losses.push(loss);
  }
}

test('the best third of each rung goes on, in order, and steps are counted over all', () => {
  // The second is ahead at the first rung, and the last overtakes it.
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

test('whoever is surely out is so before the rung is over', () => {
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
