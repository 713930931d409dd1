/**
 * A hostile team beside a calm one, on a started Graft with a worker: every request and job of the calm team succeeds, and what the hostile
 * team sends is its own fault, in few characters. `npm run bench:neighbours` measures the same for longer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAttacks } from '../../bench/neighbours/run-attacks.ts';

const numbers = [1, 2, 3, 4, 5, 8];
const rounds = await runAttacks({
  numbers,
  beside: ['hostile'],
  seconds: 6,
  patience: 120,
  bytes: 20e6,
  report: () => {},
});

for (const { attack, ends, took, failures } of rounds)
  test(`beside ${attack.name} a calm team has every answer`, () => {
    assert.deepEqual(failures, []);
    for (const [measure, waits] of Object.entries(took)) assert.ok(waits.length > 0, measure);
    const all = [...ends.keys()];
    const wrong = all.filter((how) => how.startsWith('broken') || (attack.isRefused && how === 'done'));
    assert.deepEqual(wrong, []);
    // An act that is only cancelled at the end of the round has held what it holds until then.
    const isAnswered = (how: string) => how !== 'cancelled' && !how.startsWith('busy');
    if (attack.isRefused) assert.ok(all.some(isAnswered), 'no act was refused');
  });

test('every attack had a round', () => {
  assert.deepEqual(
    rounds.map(({ attack }) => attack.number),
    numbers,
  );
});
