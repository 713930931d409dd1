import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgramBuilder } from '../program/program-builder.ts';
import { tf } from '../tensorflow.ts';
import { checkGradients } from '../testing.ts';
import { customGradient } from './custom-gradient.ts';

const x = tf.tensor1d([0.3, -0.7, 1.1]);
const y = tf.tensor1d([0.5, -0.2, 0.8]);

/** `factor · Σ terms + offset`, with an optional offset. */
function weightedSum(factor: tf.Tensor, terms: tf.Tensor[], offset?: tf.Tensor): tf.Tensor {
  const sum = terms.reduce((a, b) => tf.add(a, b));
  return customGradient({
    inputs: { factor, terms, offset },
    keep: { factor, terms },
    value: () => (offset ? tf.add(tf.mul(factor, sum), offset) : tf.mul(factor, sum)),
    gradient: (dy, { factor, terms }) => ({
      factor: tf.mul(
        dy,
        terms.reduce((a, b) => tf.add(a, b)),
      ),
      terms: terms.map(() => tf.mul(dy, factor)),
      offset: offset && dy,
    }),
  });
}

test('inputs may be lists, and missing', () => {
  checkGradients((f, a, b, o) => weightedSum(f, [a, b], o), [x, y, tf.square(x), tf.square(y)]);
  checkGradients((f, a) => weightedSum(f, [a]), [x, y]);
});

test('an input without a gradient passes zeros on', () => {
  const scaled = (x: tf.Tensor, mask: tf.Tensor) =>
    customGradient({
      inputs: { x, mask },
      keep: { mask },
      value: () => tf.mul(x, mask),
      gradient: (dy, { mask }) => ({ x: tf.mul(dy, mask), mask: null }),
    });
  const [dx, dMask] = tf.grads(scaled)([x, y]);
  assert.deepEqual(dx!.dataSync(), y.dataSync());
  assert.deepEqual([...dMask!.dataSync()], [0, 0, 0]);
});

test('the gradients around it do not see how its value was computed', () => {
  const constant = (x: tf.Tensor, value: tf.Tensor) =>
    customGradient({ inputs: { x }, keep: {}, value: () => value, gradient: (dy) => ({ x: dy }) });
  // A value from outside, and the input itself.
  const [outside] = tf.grads((x: tf.Tensor) => constant(x, tf.square(x)))([x]);
  const [itself] = tf.grads((x: tf.Tensor) => tf.mul(constant(x, x), 2))([x]);
  assert.deepEqual([...outside!.dataSync()], [1, 1, 1]);
  assert.deepEqual([...itself!.dataSync()], [2, 2, 2]);
});

test('it is traced', () => {
  const builder = new ProgramBuilder();
  const f = builder.function('f', { x: { shape: [3], dtype: 'float32' } }, ({ x }) => {
    const [dx] = tf.grads((x: tf.Tensor) => weightedSum(x, [tf.square(x)]))([x!]);
    return { dx: dx! };
  });
  const { dx } = builder.build().run(f, { x: Float32Array.of(1, 2, 3) });
  assert.deepEqual([...dx.data], [3, 12, 27]);
});
