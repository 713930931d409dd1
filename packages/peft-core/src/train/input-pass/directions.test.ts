import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attr, rawOp, tf } from '@graft/tf-graph';
import { Random } from '../../random.ts';
import { basisWidth, type Directions, withRows } from './input-pass.ts';

const random = new Random(3, 'test');
const normal = (...shape: number[]) =>
  tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal()),
    shape,
  );

/** Rows `(count, width)` whose singular values fall by `decay` from one to the next, around a mean that is not zero. */
function rowsOf(
  count: number,
  width: number,
  decay: number,
  directions = Math.min(count, width),
): tf.Tensor2D {
  const basis = rawOp('Qr', [attr.bool('full_matrices', false)], [normal(width, directions)])[0]!;
  const sizes = tf.tensor1d(Array.from({ length: directions }, (_, k) => decay ** k));
  return tf.add(
    tf.matMul(tf.mul(normal(count, directions), sizes) as tf.Tensor2D, basis as tf.Tensor2D, false, true),
    3,
  );
}

/** The components of all rows at once. */
function componentsOf(rows: tf.Tensor2D, rank: number): Directions<tf.Tensor> {
  const mean = tf.mean(rows, 0);
  const options = [attr.bool('compute_uv', true), attr.bool('full_matrices', false)];
  const [s, , v] = rawOp('Svd', options, [tf.sub(rows, mean)]);
  return {
    vectors: tf.transpose(tf.slice(v!, [0, 0], [-1, rank])),
    sizes: tf.slice(s!, 0, rank),
    mean,
    spread: tf.sum(tf.square(tf.sub(rows, mean))),
  };
}

function inBatches(rows: tf.Tensor2D, rank: number, sizes: number[]): Directions<tf.Tensor> {
  const width = rows.shape[1];
  const columns = basisWidth(rank, width);
  const basis = columns > 0 ? normal(width, columns) : null;
  let state: Directions<tf.Tensor> = {
    vectors: tf.zeros([rank, width]),
    sizes: tf.zeros([rank]),
    mean: tf.zeros([width]),
    spread: tf.zeros([1]),
  };
  let seen = 0;
  for (const size of sizes) {
    // Rows that do not count come between the others, with any values.
    const own = tf.concat([tf.slice(rows, [seen, 0], [size, -1]), tf.fill([3, width], 1e3)], 0);
    const counted = tf.tensor2d([...Array(size).fill(1), 0, 0, 0], [size + 3, 1]);
    state = withRows(state, { rows: own, counted, seen: tf.scalar(seen), basis });
    seen += size;
  }
  return state;
}

/** The largest difference of the absolute cosines of directions from one, and of sizes, means and spreads, relative to the largest. */
function difference(found: Directions<tf.Tensor>, expected: Directions<tf.Tensor>): number {
  const cosines = tf.abs(tf.sum(tf.mul(found.vectors, expected.vectors), 1));
  const sizes = tf.div(tf.abs(tf.sub(found.sizes, expected.sizes)), tf.max(expected.sizes));
  const parts = [
    tf.sub(1, cosines),
    sizes,
    tf.abs(tf.sub(found.mean, expected.mean)),
    tf.sub(1, tf.div(found.spread, expected.spread)),
  ];
  return Math.max(...parts.map((part) => tf.max(tf.abs(part)).dataSync()[0]!));
}

test('batches of rows with few directions give the components of all rows, whatever the batches', () => {
  const rows = rowsOf(90, 20, 0.6, 5);
  const expected = componentsOf(rows, 5);
  for (const sizes of [[90], [40, 50], [2, 1, 30, 57], [30, 30, 30]])
    assert.ok(difference(inBatches(rows, 5, sizes), expected) < 1e-4, sizes.join());
});

test('wide rows are decomposed in a random basis, with the same result', () => {
  assert.equal(basisWidth(4, 300), 8);
  assert.equal(basisWidth(4, 256), 0);
  assert.equal(basisWidth(200, 300), 300);
  const rows = rowsOf(200, 300, 0.7);
  const found = difference(inBatches(rows, 4, [100, 100]), componentsOf(rows, 4));
  assert.ok(found < 1e-2, `${found}`);
});

test('a row that is not finite shows in the mean, and the decomposition ends', () => {
  const rows = tf.concat([rowsOf(20, 8, 0.5), tf.fill([1, 8], Number.NaN)], 0) as tf.Tensor2D;
  assert.ok(Number.isNaN(inBatches(rows, 2, [21]).mean.dataSync()[0]!));
});
