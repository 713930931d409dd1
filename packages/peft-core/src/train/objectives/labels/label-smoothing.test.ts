import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { headLoss, lossesOfLogits } from '../../../nn/cross-entropy.ts';
import { type FrozenWeight, type Weight, weightValue } from '../../../nn/weight.ts';
import { headSmoothing, smoothedTotal } from './loss.ts';

const values = (shape: number[], seed: number) => tf.randomUniform(shape, -1, 1, 'float32', seed);
const table = values([7, 4], 1);
const rows = (from: number, count: number) => ({
  rows: count,
  read: () => tf.slice(table, [from, 0], [count, 4]),
});
const frozen: FrozenWeight = {
  kind: 'frozen',
  shape: [7, 4],
  read: () => table,
  gather: (ids) => tf.gather(table, ids),
};

const heads: Record<string, (trained: tf.Tensor) => Weight> = {
  frozen: () => frozen,
  'frozen in slices': () => ({ ...frozen, slices: [rows(0, 3), rows(3, 4)] }),
  trained: (trained) => ({ kind: 'trained', tensor: trained }),
  'with trained rows': (trained) => ({
    kind: 'rows',
    base: frozen,
    ids: [5, 2],
    rows: tf.slice(trained, [0, 0], [2, 4]),
  }),
};

for (const [name, headOf] of Object.entries(heads))
  test(`a head that is ${name}: the smoothed loss and its gradients are those of its logits`, () => {
    const labels = tf.tensor1d([5, 0, 2], 'int32');
    const scales = tf.tensor1d([0.5, 0.25, 2]);
    const [x, trained] = [values([3, 4], 2), values([7, 4], 3)];
    const fused = (x: tf.Tensor, trained: tf.Tensor) => {
      const head = headOf(trained);
      const { total } = headLoss(x, { weight: head }, labels, scales, true);
      return tf.add(total, headSmoothing(x, head, labels, scales, 0.3)) as tf.Scalar;
    };
    /** The same with a weight that is a single tensor. */
    const stock = (x: tf.Tensor, trained: tf.Tensor) => {
      const whole = name === 'trained' ? trained : weightValue(headOf(trained));
      const logits = tf.matMul(x as tf.Tensor2D, whole as tf.Tensor2D, false, true);
      const { losses } = lossesOfLogits(logits, labels);
      return smoothedTotal(
        { logits, losses, labels, scales },
        { factor: 0.3, classWeights: null },
      ) as tf.Scalar;
    };
    // A frozen head of several parts has a gradient only for the hidden states.
    const own =
      headOf(trained).kind === 'frozen'
        ? tf.valueAndGrads((x) => fused(x, trained))([x])
        : tf.valueAndGrads((x, trained) => fused(x, trained))([x, trained]);
    const expected =
      name === 'trained'
        ? tf.valueAndGrads((x, trained) => stock(x, trained))([x, trained])
        : tf.valueAndGrads((x) => stock(x, trained))([x]);
    const distance = (a: tf.Tensor, b: tf.Tensor) => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]!;
    assert.ok(distance(own.value, expected.value) < 1e-5);
    assert.ok(distance(own.grads[0]!, expected.grads[0]!) < 1e-5);
    if (name === 'trained') assert.ok(distance(own.grads[1]!, expected.grads[1]!) < 1e-5);
    if (name === 'with trained rows') {
      // Checks by finite differences that the loss changes along its gradient in these rows.
      const step = 1e-3;
      const along = own.grads[1]!;
      const at = (t: number) => stock(x, tf.add(trained, tf.mul(along, t))).dataSync()[0]!;
      const slope = (at(step) - at(-step)) / (2 * step);
      const length = tf.sum(tf.square(along)).dataSync()[0]!;
      assert.ok(Math.abs(slope / length - 1) < 1e-2, `${slope} along a gradient of ${length}`);
    }
  });
