/** Compares products by experts with the same sums written out, their gradients with finite differences, and kernels with both. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import { agrees, floats, ints, type Layer, run } from '../testing/against-stock.ts';
import { clampedProduct, withExpertBias } from './clamped-gate.ts';
import { expertBlocks } from './expert-blocks.ts';
import { type Choice, chooseExperts, expertColumns, joinExperts, updatedExpertColumns } from './experts.ts';

const values = (shape: number[], seed: number) => tf.randomUniform(shape, -1, 1, 'float32', seed);
const [N, E, k, H, I] = [9, 5, 2, 6, 4];

function choiceOf(rows: number): Choice {
  const choice = chooseExperts(values([N, E], 3), { experts: E, chosen: k, normalised: true });
  return { ...choice, blocks: expertBlocks(choice.experts, E, rows) };
}
const trained = (tensor: tf.Tensor) => ({ kind: 'trained', tensor }) as const;

for (const rows of [1, 2, 8]) {
  test(`blocks of ${rows}: each token is multiplied by its experts' matrices, in parts`, () => {
    const [x, w] = [values([N, H], 1), values([E, I, H], 2)];
    const choice = choiceOf(rows);
    const parts = expertColumns(x, trained(w), choice, 2).map((part) => part.arraySync() as number[][]);
    const experts = choice.experts.arraySync() as number[][];
    const [xs, ws] = [x.arraySync() as number[][], w.arraySync() as number[][][]];
    for (let n = 0; n < N; n++)
      for (let j = 0; j < k; j++)
        for (let r = 0; r < I; r++) {
          const wanted = ws[experts[n]![j]!]![r]!.reduce((sum, value, i) => sum + value * xs[n]![i]!, 0);
          const got = parts[Math.floor((2 * r) / I)]![n]![(j * I) / 2 + (r % (I / 2))]!;
          assert.ok(Math.abs(got - wanted) < 1e-6, `token ${n}, expert ${j}, output ${r}`);
        }
  });

  test(`blocks of ${rows}: gradients of tokens, weights and updates`, () => {
    const choice = choiceOf(rows);
    checkGradients(
      (x, w, narrow, a, b, weights) => {
        const [first, second] = updatedExpertColumns(x, trained(w), { a, b, scale: 0.7 }, choice, 2);
        // Rows for each pair, too.
        const [down] = expertColumns(tf.mul(first!, second!), trained(narrow), choice);
        return joinExperts(down!, { ...choice, weights });
      },
      [
        values([N, H], 1),
        values([E, 2 * I, H], 2),
        values([E, H, I], 7),
        values([E, 3, H], 4),
        values([E, 2 * I, 3], 5),
        values([N, k], 6),
      ],
    );
  });
}

test('an expert that no token chose, and one that all chose', () => {
  const logits = tf.tensor2d([0, 5, 1, 1, 7, 0, 0, 4, 2, 0, 9, 1], [4, 3]);
  const choice = chooseExperts(logits, { experts: 3, chosen: 1, normalised: false });
  assert.deepEqual([...choice.experts.dataSync()], [1, 1, 1, 1]);
  const [w, x] = [tf.keep(values([3, 2, 3], 1)), values([4, 3], 2)];
  const [y] = expertColumns(x, trained(w), choice);
  const own = tf.matMul(x as tf.Tensor2D, tf.unstack(w)[1]! as tf.Tensor2D, false, true).dataSync();
  for (const [i, value] of y!.dataSync().entries()) assert.ok(Math.abs(value - own[i]!) < 1e-6);
});

test('the clamped gate is the formula of gpt_oss, with and without kernels', async () => {
  const gate = { slope: 1.702, limit: 0.8 };
  const clip = (x: number, low: number) => Math.max(low, Math.min(gate.limit, x));
  const pairs = [0.3, -0.5, 2, 0.1, -3, 1.5, 0.79, -2];
  const given = { shape: [1, 8], data: Float32Array.from(pairs) };
  const wanted = [0, 2, 4, 6].map((i) => {
    const [g, u] = [clip(pairs[i]!, -Infinity), clip(pairs[i + 1]!, -gate.limit)];
    return ((u + 1) * g) / (1 + Math.exp(-gate.slope * g));
  });
  const layer: Layer = ([both]) => clampedProduct(both!, gate);
  const [y] = await run(layer, [given], 'stock', 'fp32');
  for (const [i, value] of wanted.entries())
    assert.ok(Math.abs(y![i]! - value) < 1e-6, `${y} is not ${wanted}`);
  await agrees(layer, [floats([40, 96], 2)], layer, { fp32: 4e-6, bf16: 0.03 });
});

test('experts with biases and a clamped gate: gradients', () => {
  const choice = choiceOf(2);
  checkGradients(
    (x, w, bias) => {
      const [both] = expertColumns(x, trained(w), choice);
      return clampedProduct(withExpertBias(both!, bias, choice), { slope: 1.702, limit: 7 });
    },
    [values([N, H], 1), values([E, 2 * I, H], 2), values([E, 2 * I], 5)],
  );
});

test("a router's gradient, with weights that sum up to 1 and with probabilities", () => {
  for (const normalised of [true, false])
    checkGradients(
      (logits) => chooseExperts(logits, { experts: E, chosen: k, normalised }).weights,
      [tf.mul(values([N, E], 3), 4)],
      { step: 0.002 },
    );
});

/** A layer with the experts `(N, k)` that are its last input. */
const network: Layer = (inputs) => {
  const [x, w, narrow, a, b, weights, experts] = inputs as [tf.Tensor, ...tf.Tensor[]];
  const count = w!.shape[0]!;
  const choice = chooseExperts(tf.zeros([1, count]), { experts: count, chosen: 1, normalised: false });
  const own = {
    ...choice,
    experts: experts!,
    weights: weights!,
    blocks: choice.blocks && expertBlocks(experts!, count),
  };
  const [first, second] = updatedExpertColumns(x!, trained(w!), { a: a!, b: b!, scale: 0.7 }, own, 2);
  return joinExperts(expertColumns(tf.add(first!, second!), trained(narrow!), own)[0]!, own);
};

test('kernels: products, updates and their gradients', async () => {
  for (const [tokens, experts, chosen, width, inner, rank] of [
    [3, 4, 2, 5, 7, 2],
    [1, 8, 3, 16, 8, 1],
    [70, 3, 1, 37, 60, 4],
    [40, 16, 4, 64, 50, 8],
    // More rows, inputs and outputs than are packed at a time.
    [150, 2, 1, 290, 138, 4],
  ] as const) {
    const numbers = Array.from({ length: tokens * chosen }, (_, i) => (i * 5 + Math.floor(i / 3)) % experts);
    await agrees(
      network,
      [
        floats([tokens, width]),
        floats([experts, 2 * inner, width]),
        floats([experts, width, inner]),
        floats([experts, rank, width]),
        floats([experts, 2 * inner, rank]),
        floats([tokens, chosen]),
        ints([tokens, chosen], numbers),
      ],
      network,
      { fp32: 4e-6, bf16: 0.03 },
    );
  }
});
