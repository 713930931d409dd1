import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import { bidirectionalLstm, type LstmWeights, lstm } from './lstm.ts';

const values = (shape: number[], seed: number) => tf.randomUniform(shape, -1, 1, 'float32', seed);
const shapes = (width: number, H: number) => [[4 * H, width], [4 * H, H], [4 * H], [4 * H]];
const weightsOf = ([input, hidden, inputBias, hiddenBias]: tf.Tensor[]): LstmWeights => ({
  input: input!,
  hidden: hidden!,
  inputBias: inputBias!,
  hiddenBias: hiddenBias!,
});

test("the fused kernel computes torch.nn.LSTM's equations", () => {
  const [n, width, H] = [4, 3, 2];
  const x = values([n, width], 1);
  const weights = weightsOf(shapes(width, H).map((shape, i) => values(shape, 2 + i)));
  const actual = lstm(x, weights).arraySync() as number[][];

  const [wi, wh] = [weights.input.arraySync() as number[][], weights.hidden.arraySync() as number[][]];
  const bias = tf.add(weights.inputBias, weights.hiddenBias).arraySync() as number[];
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, k) => sum + value * b[k]!, 0);
  const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));
  let h = [0, 0];
  let c = [0, 0];
  for (const [t, row] of (x.arraySync() as number[][]).entries()) {
    const gate = (k: number) =>
      h.map((_, j) => dot(wi[k * H + j]!, row) + dot(wh[k * H + j]!, h) + bias[k * H + j]!);
    const [i, f, g, o] = [gate(0), gate(1), gate(2), gate(3)];
    c = c.map((old, j) => sigmoid(f[j]!) * old + sigmoid(i[j]!) * Math.tanh(g[j]!));
    h = c.map((cell, j) => sigmoid(o[j]!) * Math.tanh(cell));
    for (const [j, expected] of h.entries()) assert.ok(Math.abs(actual[t]![j]! - expected) < 1e-6);
  }
});

test('gradients in both directions', () => {
  const all = [...shapes(3, 2), ...shapes(3, 2)].map((shape, i) => values(shape, 10 + i));
  checkGradients(
    (x, ...w) => bidirectionalLstm(x!, weightsOf(w.slice(0, 4)), weightsOf(w.slice(4))),
    [values([4, 3], 1), ...all],
  );
});
