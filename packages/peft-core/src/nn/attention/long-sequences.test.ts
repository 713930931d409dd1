import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { longSequences } from './long-sequences.ts';

const ints = (values: number[]) => tf.tensor1d(values, 'int32');
const counted = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);

/** Rows of sequences of these lengths, padded to `tokens`. */
function packed(rows: number[][], tokens: number, prefix = 0) {
  const padded = (row: number[]) => [...row, ...Array<number>(tokens - row.length).fill(0)];
  const segments = rows.flatMap((row) =>
    padded(row.flatMap((length, i) => Array<number>(length).fill(i + 1))),
  );
  const positions = rows.flatMap((row) => padded(row.flatMap((length) => counted(length, prefix))));
  return { rows: rows.length, tokens, segments: ints(segments), positions: ints(positions), prefix };
}

const lengthsOf = (rows: number[][], tokens: number) =>
  rows.flatMap((row) => [
    ...row.flatMap((length) => Array<number>(length).fill(length)),
    ...Array<number>(tokens - row.reduce((sum, length) => sum + length, 0)).fill(0),
  ]);

for (const [name, rows, tokens] of [
  ['a list', [[3, 6, 5, 4, 9]], 27],
  ['rows whose sequences have the same numbers', [[4, 7], [6, 4], [12]], 12],
] as const) {
  test(`${name}: each sequence is long by its own length`, () => {
    const copy = rows.map((row) => [...row]);
    const found = longSequences(packed(copy, tokens), 5)!;
    assert.deepEqual(found.shape, [rows.length * tokens, 1]);
    const expected = lengthsOf(copy, tokens).map((length) => Number(length > 5));
    assert.deepEqual([...found.dataSync()], expected);
  });
}

test('positions before a sequence count', () => {
  const given = packed([[3, 4, 1]], 9, 2);
  assert.deepEqual([...longSequences(given, 5)!.dataSync()], [0, 0, 0, 1, 1, 1, 1, 0, 0]);
  assert.deepEqual([...longSequences(packed([[3, 1]], 4, 7), 5)!.dataSync()], [1, 1, 1, 1]);
});

test('nothing is computed where no sequence can be long, and a given length decides', () => {
  const given = packed([[3, 4]], 7);
  assert.equal(longSequences(given, 7), null);
  const reached = ints([8, 8, 8, 2, 2, 2, 2]);
  assert.deepEqual([...longSequences({ ...given, reached }, 7)!.dataSync()], [1, 1, 1, 0, 0, 0, 0]);
});
