import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { type ActivationName, activation } from './activations.ts';
import { attention } from './attention/attention.ts';
import { cachedMask, type Mask, packedCausalMask, packedMask } from './attention/masks.ts';
import { headLoss, lossesOfLogits } from './cross-entropy.ts';
import { dropout } from './dropout.ts';
import { matmul } from './matmul.ts';
import { packedPositions } from './testing/packed-positions.ts';

const values = (shape: number[], seed: number) => tf.randomUniform(shape, -1, 1, 'float32', seed);
const close = (a: tf.Tensor, b: tf.Tensor, within = 1e-6) => {
  const distance = tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]!;
  assert.ok(distance <= within, `differ by ${distance}`);
};

test('packed examples see nothing of each other', () => {
  const [q, k, v] = [values([1, 2, 5, 4], 1), values([1, 1, 5, 4], 2), values([1, 1, 5, 4], 3)];
  const packed = attention(q, k, v, packedCausalMask(packedPositions([1, 1, 1, 2, 2]), 1));
  const part = (x: tf.Tensor, from: number, n: number) =>
    tf.slice(x, [0, 0, from, 0], [1, x.shape[1]!, n, 4]);
  for (const [from, n] of [
    [0, 3],
    [3, 2],
  ] as const) {
    const alone = packedCausalMask(packedPositions(Array(n).fill(1)), 1);
    close(attention(part(q, from, n), part(k, from, n), part(v, from, n), alone), part(packed, from, n));
  }
});

test('a cached mask lets a token see the cache up to itself', () => {
  const mask = cachedMask(tf.tensor1d([2, 3], 'int32'), 1, 6)
    .additive()
    .arraySync() as number[][][][];
  const allowed = mask[0]![0]!.map((row) => row.map((x) => (x === 0 ? 1 : 0)));
  assert.deepEqual(allowed, [
    [1, 1, 1, 0, 0, 0],
    [1, 1, 1, 1, 0, 0],
  ]);
});

const allowedBy = (mask: Mask) =>
  (mask.additive().arraySync() as number[][][][]).map(([rows]) =>
    rows!.map((row) => row.map((x) => (x === 0 ? 1 : 0))),
  );

test('a window lets a token see itself and the few before it', () => {
  assert.deepEqual(allowedBy(packedCausalMask(packedPositions([1, 1, 1, 2, 0]), 1, { window: 2 })), [
    [
      [1, 0, 0, 0, 0],
      [1, 1, 0, 0, 0],
      [0, 1, 1, 0, 0],
      [0, 0, 0, 1, 0],
      [0, 0, 0, 0, 1],
    ],
  ]);
  assert.deepEqual(allowedBy(cachedMask(tf.tensor1d([2, 3], 'int32'), 1, 5, 2)), [
    [
      [0, 1, 1, 0, 0],
      [0, 0, 1, 1, 0],
    ],
  ]);
});

test('both directions: a token sees all of its sequence, and of the memory packed in the same way', () => {
  const [own, other] = [tf.tensor1d([1, 2, 2, 1], 'int32'), tf.tensor1d([1, 1, 2, 2, 1, 0], 'int32')];
  assert.deepEqual(allowedBy(packedMask(own, own, 2)), [
    [
      [1, 0],
      [0, 1],
    ],
    [
      [1, 0],
      [0, 1],
    ],
  ]);
  assert.deepEqual(allowedBy(packedMask(own, other, 2)), [
    [
      [1, 1, 0],
      [0, 0, 1],
    ],
    [
      [1, 0, 0],
      [0, 1, 0],
    ],
  ]);
});

test('keys before a sequence leave its window one by one', () => {
  const packed = {
    segments: tf.tensor1d([1, 1, 1, 2], 'int32'),
    positions: tf.tensor1d([2, 3, 4, 2], 'int32'),
  };
  assert.deepEqual(allowedBy(packedCausalMask(packed, 2, { prefix: 2, window: 3 })), [
    [
      [1, 1, 1, 0],
      [0, 1, 1, 1],
    ],
    [
      [0, 0, 1, 0],
      [1, 1, 0, 1],
    ],
  ]);
});

test('all tokens of an encoder see the keys before every sequence', () => {
  const segments = tf.tensor1d([1, 1, 1, 2], 'int32');
  assert.deepEqual(allowedBy(packedMask(segments, segments, 2, { prefix: 1 })), [
    [
      [1, 1, 1],
      [1, 1, 1],
    ],
    [
      [1, 1, 0],
      [1, 0, 1],
    ],
  ]);
});

test('a beginning that others share is seen by them, and by itself', () => {
  const packed = {
    segments: tf.tensor1d([1, 1, 2, 3], 'int32'),
    positions: tf.tensor1d([0, 1, 2, 2], 'int32'),
    parents: tf.tensor1d([-1, -1, 1, 1], 'int32'),
  };
  assert.deepEqual(allowedBy(packedCausalMask(packed, 1, { window: 2 })), [
    [
      [1, 0, 0, 0],
      [1, 1, 0, 0],
      [0, 1, 1, 0],
      [0, 1, 0, 1],
    ],
  ]);
});

test('the chunked head gives the losses of the whole logits', () => {
  const [hidden, table] = [values([300, 8], 1), values([11, 8], 2)];
  const labels = tf.tensor1d(
    Array.from({ length: 300 }, (_, i) => i % 11),
    'int32',
  );
  const scales = tf.fill([300], 1 / 300);
  const whole = lossesOfLogits(matmul(hidden, table, false, true), labels);
  for (const withGradient of [false, true]) {
    const chunked = headLoss(
      hidden,
      { weight: { kind: 'trained', tensor: table } },
      labels,
      scales,
      withGradient,
    );
    close(chunked.losses, whole.losses);
    close(chunked.correct, whole.correct);
    close(chunked.total, tf.mean(whole.losses));
  }
});

test('dropout drops about its share, keeps the mean, and depends on seed, step and place alone', () => {
  const x = tf.ones([100, 100]);
  const draw = (seed: number[], stream: number) =>
    dropout(x, 0.25, { seed: tf.tensor1d(seed, 'int32'), stream });
  const kept = tf.mean(tf.cast(tf.greater(draw([1, 0], 0), 0), 'float32')).dataSync()[0]!;
  assert.ok(Math.abs(kept - 0.75) < 0.02, `kept ${kept}`);
  assert.ok(Math.abs(tf.mean(draw([1, 0], 0)).dataSync()[0]! - 1) < 0.03);
  close(draw([1, 0], 0), draw([1, 0], 0), 0);
  const same = (a: tf.Tensor, b: tf.Tensor) => tf.all(tf.equal(a, b)).dataSync()[0] === 1;
  assert.equal(same(draw([1, 0], 0), draw([1, 1], 0)), false, 'another step');
  assert.equal(same(draw([1, 0], 0), draw([2, 0], 0)), false, 'another seed');
  assert.equal(same(draw([1, 0], 0), draw([1, 0], 1)), false, 'another place');
});

test('activations have the values of transformers', () => {
  // transformers.activations.get_activation(name)(torch.tensor([-3, -1, -0.25, 0.5, 2]))
  const expected: Partial<Record<ActivationName, number[]>> = {
    relu: [0, 0, 0, 0.5, 2],
    leaky_relu: [-0.03, -0.01, -0.0025, 0.5, 2],
    gelu: [-0.00405, -0.158655, -0.100323, 0.345731, 1.9545],
    gelu_new: [-0.003637, -0.158808, -0.100325, 0.345714, 1.954598],
    quick_gelu: [-0.018071, -0.154204, -0.0988, 0.350388, 1.935659],
    silu: [-0.142278, -0.268941, -0.109456, 0.31123, 1.761594],
    tanh: [-0.995055, -0.761594, -0.244919, 0.462117, 0.964028],
    sigmoid: [0.047426, 0.268941, 0.437824, 0.622459, 0.880797],
    linear: [-3, -1, -0.25, 0.5, 2],
  };
  const x = tf.tensor1d([-3, -1, -0.25, 0.5, 2]);
  for (const [name, values] of Object.entries(expected))
    close(activation(name as ActivationName)(x), tf.tensor1d(values), 1e-6);
});
