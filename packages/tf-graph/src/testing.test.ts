import assert from 'node:assert/strict';
import { test } from 'node:test';
import { customGradient } from './gradients/custom-gradient.ts';
import { nestedGrads } from './gradients/nested-gradients.ts';
import { cast, withControlDependency } from './ops/raw-op.ts';
import { tf } from './tensorflow.ts';
import { checkGradients } from './testing.ts';

const x = tf.tensor2d([0.3, -0.7, 1.1, 0.2, -0.4, 0.9], [2, 3]);
const w = tf.tensor2d([0.5, -0.2, 0.8, 0.1, -0.6, 0.4], [3, 2]);

test('right gradients pass, and ids are left alone', () => {
  const ids = tf.tensor1d([1, 0, 1], 'int32');
  const f = (x: tf.Tensor, w: tf.Tensor, ids: tf.Tensor) =>
    tf.gather(tf.tanh(tf.matMul(x, w)), ids as tf.Tensor1D);
  assert.ok(checkGradients(f, [x, w, ids]) < 1e-3);
});

test('a wrong gradient is reported with its input and element', () => {
  const wrong = (a: tf.Tensor, b: tf.Tensor) =>
    customGradient({
      inputs: { a, b },
      keep: { a, b },
      value: () => tf.mul(a, b),
      gradient: (dy, { a, b }) => ({ a: tf.mul(dy, b), b: tf.mul(tf.mul(dy, a), 1.02) }),
    });
  assert.throws(() => checkGradients(wrong, [x, tf.square(x)]), /gradient of input 1, element \d/);
});

test('the gradient of withControlDependency, and of a cast and back', () => {
  checkGradients((x) => tf.mul(withControlDependency(x, w), x), [x]);
  // In bfloat16 the value changes in steps, so compare with the gradient of the identity.
  const [dx] = tf.grads((x: tf.Tensor) => tf.mul(cast(cast(x, 'bfloat16'), 'float32'), 3))([x]);
  assert.deepEqual([...(dx as tf.Tensor).dataSync()], Array(6).fill(3));
});

test('gradients may be taken inside a gradient function and before it', () => {
  const block = (x: tf.Tensor, w: tf.Tensor) =>
    tf.sigmoid(tf.matMul(tf.tanh(tf.matMul(x, w)), w, false, true));
  const checkpointed = (x: tf.Tensor, w: tf.Tensor) =>
    customGradient({
      inputs: { x, w },
      keep: { x, w },
      value: () => block(x, w),
      gradient(dy, { x, w }) {
        const [dx, dw] = nestedGrads(block)([x, w], dy);
        return { x: dx, w: dw };
      },
    });
  const early = (x: tf.Tensor) => {
    const [slope] = nestedGrads((x: tf.Tensor) => tf.square(x))([x]);
    return customGradient({
      inputs: { x },
      keep: { slope },
      value: () => tf.square(x),
      gradient: (dy, { slope }) => ({ x: tf.mul(dy, slope) }),
    });
  };
  assert.ok(checkGradients((x, w) => early(checkpointed(tf.mul(x, 1.5), w)), [x, w]) < 1e-3);
});

test('a nested gradient of what is not read is zero', () => {
  const [dx, dw] = nestedGrads((x: tf.Tensor, _w: tf.Tensor) => tf.mul(x, 2))([x, w]);
  assert.deepEqual([...dx.dataSync()], Array(x.size).fill(2));
  assert.deepEqual([...dw.dataSync()], Array(w.size).fill(0));
});
