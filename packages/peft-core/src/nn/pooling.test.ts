import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import { pool, similarities, unitRows } from './pooling.ts';

const values = (shape: number[], seed: number) => tf.randomUniform(shape, -1, 1, 'float32', seed);

test('a vector is the weighted sum of its tokens; tokens of none are left out', () => {
  const hidden = tf.tensor2d([
    [1, 2],
    [3, 4],
    [5, 6],
    [7, 8],
  ]);
  const vectors = tf.tensor1d([1, 0, 1, 3], 'int32');
  const weights = tf.tensor1d([0.5, 1, 0.5, 9]);
  assert.deepEqual(pool(hidden, vectors, weights, 3).arraySync(), [
    [3, 4],
    [3, 4],
    [0, 0],
  ]);
});

test('rows of length 1; a row of zeros stays one', () => {
  const units = unitRows(
    tf.tensor2d([
      [3, 4],
      [0, 0],
    ]),
  ).arraySync() as number[][];
  for (const [i, value] of [0.6, 0.8, 0, 0].entries()) assert.ok(Math.abs(units.flat()[i]! - value) < 1e-6);
});

test('gradients agree with finite differences', () => {
  const vectors = tf.tensor1d([0, 2, 2, 1, 3, 0], 'int32');
  const weights = tf.tensor1d([0.5, 0.25, 0.75, 1, 1, 0.5]);
  checkGradients((x) => pool(x!, vectors, weights, 3), [values([6, 4], 1)]);
  checkGradients((x) => unitRows(x!), [values([3, 4], 2)]);
  checkGradients((a, b) => similarities(a!, b!), [values([3, 4], 3), values([5, 4], 4)]);
});
