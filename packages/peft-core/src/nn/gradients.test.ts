import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgramBuilder, tf, type Variable } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import { type ActivationName, activation, gatedProduct } from './activations.ts';
import { attention } from './attention/attention.ts';
import { packedCausalMask } from './attention/masks.ts';
import { rotaryTable, rotate, rotationOf } from './attention/rotary.ts';
import { headLoss, lossesOfLogits } from './cross-entropy.ts';
import { dropout } from './dropout.ts';
import { embedding } from './embedding.ts';
import { layerNorm } from './layer-norm.ts';
import { linear, trainedProduct } from './linear.ts';
import { rmsNorm } from './rms-norm.ts';
import { takeRows } from './rows.ts';
import { packedPositions } from './testing/packed-positions.ts';
import type { FrozenWeight, Weight } from './weight.ts';

const frozen = (variable: Variable): Weight => ({
  kind: 'frozen',
  shape: variable.shape,
  read: (...after) => variable.read({ after, stored: true }),
  gather: (ids) => variable.gather(ids),
});

/** Pseudo-random values, the same in each run. */
const values = (shape: number[], seed: number) => tf.randomUniform(shape, -1, 1, 'float32', seed);

test('linear: trained and frozen weights, with bias', () => {
  checkGradients(
    (x, w, b) => linear(x, { kind: 'trained', tensor: w }, { kind: 'trained', tensor: b }),
    [values([5, 4], 1), values([3, 4], 2), values([3], 3)],
  );
  checkGradients((x, w) => trainedProduct(x, w), [values([5, 4], 4), values([3, 4], 5)]);
});

test('linear: a frozen weight passes the gradient on to its input', async () => {
  const builder = new ProgramBuilder();
  const variable = builder.variable({ name: 'w', shape: [3, 4] });
  const check = builder.function('check', {}, () => {
    checkGradients((x) => linear(x, frozen(variable)), [values([5, 4], 1)]);
    return { done: tf.scalar(1) };
  });
  const program = builder.buildEager();
  await program.write([['w', values([3, 4], 2).dataSync() as Float32Array]]);
  program.run(check, {});
});

test('a frozen table of which some rows are trained: embedding, linear, headLoss', async () => {
  const builder = new ProgramBuilder();
  const variable = builder.variable({ name: 'table', shape: [7, 4] });
  const table = (rows: tf.Tensor): Weight => ({
    kind: 'rows',
    base: frozen(variable) as FrozenWeight,
    ids: [5, 2],
    rows,
  });
  const ids = tf.keep(tf.tensor1d([2, 0, 2, 5, 6], 'int32'));
  const labels = tf.keep(tf.tensor1d([5, 3, 2], 'int32'));
  const scales = tf.keep(tf.tensor1d([0.5, 0.2, 0.3]));
  const rows = () => values([2, 4], 1);
  const check = builder.function('check', {}, () => {
    checkGradients((rows) => embedding(ids, table(rows)), [rows()]);
    checkGradients((x, rows) => linear(x, table(rows)), [values([3, 4], 2), rows()]);
    checkGradients(
      (x, rows) => headLoss(x, { weight: table(rows) }, labels, scales, true).total,
      [values([3, 4], 2), rows()],
    );
    return { embedded: embedding(ids, table(rows())) };
  });
  const program = builder.buildEager();
  const base = values([7, 4], 9).dataSync() as Float32Array;
  await program.write([['table', base]]);
  const { embedded } = program.run(check, {});
  const trained = rows().dataSync();
  const expected = [
    trained.slice(4, 8),
    base.slice(0, 4),
    trained.slice(4, 8),
    trained.slice(0, 4),
    base.slice(24, 28),
  ];
  assert.deepEqual(
    [...(embedded.data as Float32Array)],
    expected.flatMap((row) => [...row]),
  );
});

test('rmsNorm', () => {
  checkGradients((x, w) => rmsNorm(x, w, 1e-5), [values([6, 5], 1), values([5], 2)]);
});

test('rmsNorm over heads, layerNorm', () => {
  checkGradients((x, w) => rmsNorm(x, w, 1e-5), [values([3, 2, 5], 1), values([5], 2)]);
  checkGradients((x, w, b) => layerNorm(x, w, b, 1e-5), [values([6, 5], 1), values([5], 2), values([5], 3)]);
});

test('linear: a transposed weight', () => {
  checkGradients(
    (x, w) => linear(x, { kind: 'trained', tensor: w }, null, true),
    [values([5, 4], 1), values([4, 3], 2)],
  );
});

test('rotate', () => {
  const positions = tf.tensor1d([0, 1, 2, 7], 'int32');
  checkGradients((x) => rotate(x, rotaryTable(rotationOf(positions, [1, 0.1]), 0.5)), [values([4, 3, 4], 1)]);
});

test('rotate: a part of each head, with a factor', () => {
  const positions = tf.tensor1d([0, 1, 2, 7], 'int32');
  const table = () => rotaryTable(rotationOf(positions, [1, 0.1], 1.2), 0.5);
  checkGradients((x) => rotate(x, table()), [values([4, 3, 6], 1)]);
});

const activations: ActivationName[] = [
  'relu',
  'leaky_relu',
  'gelu',
  'gelu_new',
  'quick_gelu',
  'silu',
  'tanh',
  'sigmoid',
];
for (const name of activations) {
  test(`activation ${name}`, () => {
    checkGradients((x) => activation(name)(x), [values([4, 6], 1)]);
  });
}

test('gatedProduct', () => {
  for (const name of ['silu', 'gelu_new', 'gelu', 'linear'] as const)
    checkGradients((gate, up) => gatedProduct(name, [gate, up]), [values([4, 6], 1), values([4, 6], 2)]);
});

const maskOf = (segments: number[], rows: number, window: number | null = null) =>
  packedCausalMask(packedPositions(segments), rows, { window, keep: tf.keep });

test('attention: packed rows, grouped queries', () => {
  const mask = maskOf([1, 1, 2, 2, 2, 0, 1, 1, 1, 1, 0, 0], 2);
  checkGradients(
    (q, k, v) => attention(q, k, v, mask),
    [values([2, 4, 6, 3], 1), values([2, 2, 6, 3], 2), values([2, 2, 6, 3], 3)],
  );
});

test('attention: a bias for each row', () => {
  const mask = maskOf([1, 1, 2, 1, 1, 0], 2);
  checkGradients(
    (q, k, v, bias) => attention(q, k, v, mask, { bias }),
    [values([2, 2, 3, 3], 1), values([2, 1, 3, 3], 2), values([2, 1, 3, 3], 3), values([2, 2, 3, 3], 4)],
  );
});

test('attention: bias, and dropped probabilities', () => {
  const mask = maskOf([1, 1, 2, 2, 2, 0], 1, 2);
  const qkv: [tf.Tensor, tf.Tensor, tf.Tensor] = [
    values([1, 4, 6, 3], 1),
    values([1, 2, 6, 3], 2),
    values([1, 2, 6, 3], 3),
  ];
  const random = () => ({ seed: tf.tensor1d([3, 5], 'int32'), stream: 0 });
  checkGradients((q, k, v, bias) => attention(q, k, v, mask, { bias }), [...qkv, values([1, 4, 6, 6], 4)]);
  checkGradients(
    (q, k, v, bias) => attention(q, k, v, mask, { bias, dropout: { probability: 0.4, random: random() } }),
    [...qkv, values([1, 4, 6, 6], 4)],
  );
});

test('attention: sinks, and dropped probabilities', () => {
  const mask = maskOf([1, 1, 2, 1, 1, 0], 2, 2);
  const random = () => ({ seed: tf.tensor1d([3, 5], 'int32'), stream: 0 });
  checkGradients(
    (q, k, v, sinks) => attention(q, k, v, mask, { sinks, dropout: { probability: 0.4, random: random() } }),
    [values([2, 4, 3, 3], 1), values([2, 2, 3, 3], 2), values([2, 2, 3, 3], 3), values([4], 4)],
  );
});

test('dropout: the mask of the backward pass is that of the forward pass', () => {
  const seed = tf.tensor1d([3, 5], 'int32');
  checkGradients((x) => dropout(x, 0.4, { seed, stream: 0 }), [values([8, 8], 1)]);
});

test('takeRows and embedding: repeated rows add up', () => {
  const index = tf.tensor1d([2, 0, 2, 1], 'int32');
  checkGradients((x) => takeRows(x, index), [values([4, 3], 1)]);
  checkGradients((table) => embedding(index, { kind: 'trained', tensor: table }), [values([4, 3], 2)]);
});

test('embedding: the padding row gets no gradient', () => {
  const ids = tf.tensor1d([2, 0, 2, 1], 'int32');
  const gradient = (padding: number | null, weight: (table: tf.Tensor) => Weight) =>
    tf
      .grad((table) => tf.sum(embedding(ids, weight(table), padding)))(tf.ones([3, 2]))
      .dataSync();
  const trained = (tensor: tf.Tensor): Weight => ({ kind: 'trained', tensor });
  assert.deepEqual([...gradient(null, trained)], [1, 1, 1, 1, 2, 2]);
  assert.deepEqual([...gradient(2, trained)], [1, 1, 1, 1, 0, 0]);
  const [read, gather] = [() => tf.zeros([3, 2]), () => tf.zeros([4, 2])];
  const base: FrozenWeight = { kind: 'frozen', shape: [3, 2], read, gather };
  const rows = (rows: tf.Tensor): Weight => ({ kind: 'rows', base, ids: [1, 0, 2], rows });
  assert.deepEqual([...gradient(2, rows)], [1, 1, 1, 1, 0, 0]);
  assert.deepEqual([...gradient(1, rows)], [0, 0, 1, 1, 2, 2]);
});

for (const cap of [undefined, 0.5])
  test(`headLoss: in chunks, trained weight and hidden states, ${cap === undefined ? 'no cap' : 'capped'}`, () => {
    const rows = 300; // more than one chunk
    const labels = tf.tensor1d(
      Array.from({ length: rows }, (_, i) => i % 7),
      'int32',
    );
    const scales = tf.tensor1d(Array.from({ length: rows }, (_, i) => (i % 5) / rows));
    const total = (hidden: tf.Tensor, w: tf.Tensor) =>
      headLoss(
        hidden,
        { weight: { kind: 'trained', tensor: w }, ...(cap === undefined ? {} : { cap }) },
        labels,
        scales,
        true,
      ).total;
    checkGradients(total, [values([rows, 4], 1), values([7, 4], 2)]);
  });

test('lossesOfLogits', () => {
  const labels = tf.tensor1d([1, 0, 2], 'int32');
  checkGradients((logits) => lossesOfLogits(logits, labels).losses, [values([3, 4], 1)]);
});
