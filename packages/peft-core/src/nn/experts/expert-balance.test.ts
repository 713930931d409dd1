/** Compares the balancing loss with its formula, and its gradient, which layers add, with finite differences of the formula. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { ExpertBalance } from './expert-balance.ts';

const values = (shape: number[], seed: number) => tf.randomUniform(shape, -2, 2, 'float32', seed);
const [N, E, k, coefficient] = [7, 4, 2, 0.3];
const isToken = [1, 1, 0, 1, 1, 1, 0];

/** The formula, with the experts that the first logits choose. */
function formula(layers: number[][][], chosen: number[][][]): number {
  const [counts, sums] = [new Array<number>(E).fill(0), new Array<number>(E).fill(0)];
  for (const [layer, logits] of layers.entries())
    for (const [n, row] of logits.entries()) {
      if (isToken[n] === 0) continue;
      const total = row.reduce((sum, x) => sum + Math.exp(x), 0);
      for (let e = 0; e < E; e++) sums[e]! += Math.exp(row[e]!) / total;
      for (const e of chosen[layer]![n]!) counts[e]!++;
    }
  const T = layers.length * isToken.reduce((a, b) => a + b, 0);
  return coefficient * E * counts.reduce((sum, c, e) => sum + (c / T) * (sums[e]! / T), 0);
}

test('the loss over two layers, and its gradients', () => {
  const layers = [values([N, E], 1), values([N, E], 2)];
  const kept: tf.Tensor[] = [];
  const keep = (x: tf.Tensor) => {
    kept.push(tf.keep(x));
    return x;
  };
  let loss = 0;
  const { grads } = tf.engine().gradients(() => {
    const routing = { experts: E, chosen: k, normalised: true };
    const balance = new ExpertBalance(routing, tf.tensor1d(isToken), coefficient, keep);
    const routed = layers.map((logits) => balance.route(logits));
    const value = balance.loss();
    loss = value.dataSync()[0]!;
    // A separate loss, so that both gradients are added.
    return tf.add(value, tf.sum(tf.mul(tf.add(routed[0]!, routed[1]!), 0.01)));
  }, layers);
  const numbers = layers.map((layer) => layer.arraySync() as number[][]);
  const chosen = numbers.map((rows) =>
    rows.map((row) => [...row.keys()].sort((a, b) => row[b]! - row[a]!).slice(0, k)),
  );
  assert.ok(Math.abs(loss - formula(numbers, chosen)) < 1e-6);
  for (const [layer, gradient] of grads.entries()) {
    const got = gradient.arraySync() as number[][];
    for (let n = 0; n < N; n++)
      for (let e = 0; e < E; e++) {
        const moved = (step: number) => {
          const copy = structuredClone(numbers);
          copy[layer]![n]![e]! += step;
          return formula(copy, chosen);
        };
        const slope = (moved(1e-4) - moved(-1e-4)) / 2e-4 + 0.01;
        assert.ok(Math.abs(got[n]![e]! - slope) < 1e-6, `layer ${layer}, token ${n}, expert ${e}`);
      }
  }
  tf.dispose(kept);
});
