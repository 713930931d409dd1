/** Compares products by experts with the same sums written out, and their gradients with finite differences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import {
  chooseExperts,
  expertBlocks,
  expertProduct,
  fromBlocks,
  toBlocks,
  updatedExpertProduct,
} from './experts.ts';

const values = (shape: number[], seed: number) => tf.randomUniform(shape, -1, 1, 'float32', seed);
const [N, E, k, H, I] = [9, 5, 2, 6, 4];
const routing = { experts: E, chosen: k, normalised: true };

/** Σ over a token's experts of weight · W[e] x, in plain loops. */
function expected(x: number[][], w: number[][][], experts: number[], weights: number[][]): number[][] {
  return x.map((row, n) =>
    w[0]!.map((_, r) =>
      weights[n]!.reduce((sum, weight, j) => {
        const matrix = w[experts[n * k + j]!]!;
        return sum + weight * matrix[r]!.reduce((dot, value, i) => dot + value * row[i]!, 0);
      }, 0),
    ),
  );
}

for (const rows of [1, 2, 8]) {
  test(`blocks of ${rows}: each token is multiplied by its experts' matrices`, () => {
    const [x, w, logits] = [values([N, H], 1), values([E, I, H], 2), values([N, E], 3)];
    const { experts, weights } = chooseExperts(logits, routing);
    const blocks = expertBlocks(experts, routing, rows);
    const y = fromBlocks(
      expertProduct(toBlocks(x, blocks), { kind: 'trained', tensor: w }, blocks),
      weights,
      blocks,
    );
    const wanted = expected(
      x.arraySync() as number[][],
      w.arraySync() as number[][][],
      [...experts.dataSync()],
      weights.arraySync() as number[][],
    ).flat();
    const off = [...y.dataSync()].map((value, i) => Math.abs(value - wanted[i]!));
    assert.ok(Math.max(...off) < 1e-6, `${Math.max(...off)}`);
  });

  test(`blocks of ${rows}: gradients of tokens, weights and updates`, () => {
    const logits = values([N, E], 3);
    const { experts } = chooseExperts(logits, routing);
    const blocks = expertBlocks(experts, routing, rows);
    checkGradients(
      (x, w, a, b, weights) =>
        fromBlocks(
          updatedExpertProduct(
            toBlocks(x, blocks),
            { kind: 'trained', tensor: w },
            { a, b, scale: 0.7 },
            blocks,
          ),
          weights,
          blocks,
        ),
      [values([N, H], 1), values([E, I, H], 2), values([E, 3, H], 4), values([E, I, 3], 5), values([N, k], 6)],
    );
  });
}

test('an expert that no token chose, and one that all chose', () => {
  const routed = { experts: 3, chosen: 1, normalised: false };
  const logits = tf.tensor2d([0, 5, 1, 1, 7, 0, 0, 4, 2, 0, 9, 1], [4, 3]);
  const { experts } = chooseExperts(logits, routed);
  assert.deepEqual([...experts.dataSync()], [1, 1, 1, 1]);
  const blocks = expertBlocks(experts, routed, 4);
  const w = tf.keep(values([3, 2, 3], 1));
  const x = values([4, 3], 2);
  const y = expertProduct(toBlocks(x, blocks), { kind: 'trained', tensor: w }, blocks);
  const own = tf.matMul(x as tf.Tensor2D, tf.unstack(w)[1]! as tf.Tensor2D, false, true);
  const got = [...y.dataSync()].slice(0, 8);
  [...own.dataSync()].forEach((value, i) => assert.ok(Math.abs(value - got[i]!) < 1e-6));
});

test("a router's gradient, with weights that sum up to 1 and with probabilities", () => {
  for (const normalised of [true, false])
    checkGradients(
      (logits) => chooseExperts(logits, { experts: E, chosen: k, normalised }).weights,
      [tf.mul(values([N, E], 3), 4)],
      { step: 0.002 },
    );
});
