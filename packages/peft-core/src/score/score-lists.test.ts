import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_MEMBERS, scoreLists } from './score-program.ts';

const lengths = [32, 128, 256, 512, 1024, 2048];
/** `shared` ids that all inputs have in common, followed by `own` ids that differ. */
const input = (shared: number, own: number, number: number) =>
  Int32Array.from([
    ...Array(shared).keys(),
    ...Array.from({ length: own }, (_, i) => 1000 * (number + 1) + i),
  ]);

test('inputs under one long beginning are computed in few lists, each with it once', () => {
  const inputs = Array.from({ length: 40 }, (_, i) => input(400, 20 + (i % 7), i));
  const lists = scoreLists(inputs, lengths, true);
  const computed = lists.reduce((sum, { tokens }) => sum + tokens, 0);
  assert.ok(computed <= 3 * 1024, `${computed} positions, of 40 × 512 one by one`);
  assert.deepEqual(
    lists.flatMap(({ members }) => members).toSorted((a, b) => a - b),
    [...inputs.keys()],
  );
  for (const { members, shared, tokens } of lists) {
    assert.equal(shared, 399);
    assert.ok(members.reduce((sum, each) => sum + inputs[each]!.length - shared, shared) <= tokens);
  }
  const apart = scoreLists(inputs, lengths, false);
  assert.deepEqual(apart[3], { members: [3], shared: 0, tokens: 512 });
});

test('a list is made only where it is less than its inputs one by one', () => {
  // Sixteen inputs padded to 32 positions cost no less than one list of all.
  const short = Array.from({ length: 4 }, (_, i) => input(9, 20, i));
  assert.deepEqual(
    scoreLists(short, lengths, true).map(({ members }) => members),
    [[0], [1], [2], [3]],
  );
  // Attention within a list of two inputs of a thousand positions each would cost more than the list saves.
  const long = Array.from({ length: 2 }, (_, i) => input(600, 900, i));
  assert.deepEqual(
    scoreLists(long, lengths, true).map(({ tokens }) => tokens),
    [2048, 2048],
  );
});

test('an input that is all prefix has a separate position, and a list has a fixed capacity', () => {
  const same = Array.from({ length: MAX_MEMBERS + 6 }, () => input(190, 0, 0));
  const lists = scoreLists(same, lengths, true);
  assert.deepEqual(
    lists.map(({ members, shared }) => [members.length, shared]),
    [
      [MAX_MEMBERS, 189],
      [6, 189],
    ],
  );
  assert.deepEqual(scoreLists([Int32Array.of(5)], lengths, true), [{ members: [0], shared: 0, tokens: 32 }]);
});
