import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import { allUsed, off, segmentsOf, weightsOf } from '../testing/sequences.ts';
import { causalConvolution, continuedConvolution, nearbyPositions } from './causal-convolution.ts';
import { continuedDeltaRule, type DeltaHeads, type DeltaInputs, deltaRule } from './delta-rule.ts';
import { continuedChunks, segmentChunks } from './segment-chunks.ts';

const NAMES = ['q', 'k', 'v', 'decay', 'rate'] as const;
type Numbers = Record<(typeof NAMES)[number], number[]>;

interface Case {
  tokens: number;
  heads: DeltaHeads;
  inputs: Numbers;
  y: number[];
  state: number[];
  gradients: Numbers;
}
const golden = JSON.parse(
  readFileSync(path.join(import.meta.dirname, 'testdata/delta-rule.json'), 'utf8'),
) as {
  chunked: Case[];
  recurrent: Case[];
  convolution: { tokens: number; channels: number; x: number[]; weight: number[]; y: number[] };
};

const inputsOf = (inputs: Numbers, tokens: number): DeltaInputs => {
  const matrix = (values: number[]) => tf.tensor2d(values, [tokens, values.length / tokens]);
  return {
    q: matrix(inputs.q),
    k: matrix(inputs.k),
    v: matrix(inputs.v),
    decay: matrix(inputs.decay),
    rate: matrix(inputs.rate),
  };
};
const named = ([q, k, v, decay, rate]: tf.Tensor[]): DeltaInputs => ({
  q: q!,
  k: k!,
  v: v!,
  decay: decay!,
  rate: rate!,
});

// A chunk sums up to 64 logarithms before it takes their exponentials, in both implementations.
const WITHIN = { values: 5e-5, gradients: 1e-4 };

for (const kind of ['chunked', 'recurrent'] as const)
  for (const { tokens, heads, inputs, y, gradients } of golden[kind])
    test(`${kind}, ${tokens} positions: values and gradients are those of transformers`, () => {
      const given = inputsOf(inputs, tokens);
      const chunks = segmentChunks(segmentsOf([tokens]), 1);
      assert.ok(off(deltaRule(given, heads, chunks), y) < WITHIN.values);
      const weights = weightsOf(y, tokens);
      const found = tf.grads((...parts: tf.Tensor[]) => deltaRule(named(parts), heads, chunks))(
        NAMES.map((name) => given[name]),
        weights,
      );
      for (const [i, name] of NAMES.entries()) {
        const far = off(found[i]!, gradients[name]);
        assert.ok(far < WITHIN.gradients, `the gradient of ${name} is off by ${far}`);
      }
    });

const rowsOf = (given: DeltaInputs, from: number, count: number): DeltaInputs =>
  named(NAMES.map((name) => tf.slice(given[name], [from, 0], [count, given[name].shape[1]!])));

test('a state carries on where a sequence was cut, a position at a time and many at once', () => {
  for (const { tokens, heads, inputs, y, state: last } of [...golden.chunked, ...golden.recurrent]) {
    const given = inputsOf(inputs, tokens);
    for (const most of [1, 7, 100]) {
      let state: tf.Tensor = tf.zeros([1, heads.valueHeads, heads.keySize, heads.valueSize]);
      const parts: tf.Tensor[] = [];
      for (let from = 0; from < tokens; from += most) {
        const count = Math.min(most, tokens - from);
        const chunks = continuedChunks(1, count, allUsed(count));
        const part = continuedDeltaRule(rowsOf(given, from, count), heads, chunks, state);
        parts.push(part.y);
        state = part.state;
      }
      const far = off(tf.concat(parts), y);
      assert.ok(far < WITHIN.values, `${most} at a time: off by ${far}`);
      assert.ok(off(state, last) < WITHIN.values, `the state, ${most} at a time`);
    }
  }
});

test('positions with decay 0 and rate 0 leave the state as it was', () => {
  const { tokens, heads, inputs } = golden.chunked[0]!;
  const given = inputsOf(inputs, tokens);
  const used = 90;
  const counts = tf.tensor2d(
    Array.from({ length: tokens }, (_, i) => (i < used ? 1 : 0)),
    [tokens, 1],
  );
  const quiet = { ...given, decay: tf.mul(given.decay, counts), rate: tf.mul(given.rate, counts) };
  const first = tf.randomUniform([1, heads.valueHeads, heads.keySize, heads.valueSize], -1, 1, 'float32', 7);
  const short = continuedDeltaRule(
    rowsOf(given, 0, used),
    heads,
    continuedChunks(1, used, allUsed(used)),
    first,
  );
  const long = continuedDeltaRule(quiet, heads, continuedChunks(1, tokens, allUsed(tokens)), first);
  assert.ok(off(long.state, [...short.state.dataSync()]) < 1e-6);
});

/** Sequences that begin within chunks, at their borders, and fill several; in two rows. */
const packed = [
  [30, 34, 1, 70, 15],
  [64, 20, 66],
];

test('sequences packed into rows do not see each other', () => {
  const { tokens, heads, inputs } = golden.chunked[0]!;
  const given = inputsOf(inputs, tokens);
  const doubled = named(NAMES.map((name) => tf.concat([given[name], tf.neg(tf.abs(given[name]))])));
  const chunks = segmentChunks(tf.concat(packed.map(segmentsOf)), packed.length);
  const together = deltaRule(doubled, heads, chunks);
  let from = 0;
  const alone = packed.flat().map((length) => {
    const part = rowsOf(doubled, from, length);
    from += length;
    return deltaRule(part, heads, segmentChunks(segmentsOf([length]), 1));
  });
  assert.ok(off(together, [...tf.concat(alone).dataSync()]) < 1e-5);
});

test('gradients by finite differences: several sequences, over chunks', () => {
  const { tokens, heads, inputs } = golden.chunked[0]!;
  const numbers = inputsOf(inputs, tokens);
  // Far enough below 0 for the steps of the differences.
  const given = { ...numbers, decay: tf.sub(numbers.decay, 0.05) };
  const chunks = segmentChunks(segmentsOf([40, 100, 10]), 1);
  checkGradients(
    (...parts: tf.Tensor[]) => deltaRule(named(parts), heads, chunks),
    NAMES.map((name) => given[name]),
    { samples: 6 },
  );
});

test('many equal keys without decay, whose powers would overflow', () => {
  const heads = { keyHeads: 1, valueHeads: 1, keySize: 4, valueSize: 2 };
  const tokens = 64;
  const same = {
    q: tf.ones([tokens, 4]),
    k: tf.ones([tokens, 4]),
    v: tf.tensor2d(
      Array.from({ length: tokens }, (_, i) => [i, -i]),
      [tokens, 2],
    ),
    decay: tf.zeros([tokens, 1]),
    rate: tf.ones([tokens, 1]),
  };
  // A rate of 1 replaces what is stored under the key: each position reads its own value, times |q| / √4.
  const y = deltaRule(same, heads, segmentChunks(segmentsOf([tokens]), 1));
  assert.ok(off(y, Array.from({ length: tokens }, (_, i) => [i / 2, -i / 2]).flat()) < 1e-6);
});

test('the convolution is that of transformers, also after earlier positions', () => {
  const { tokens, channels, x: numbers, weight: w, y } = golden.convolution;
  const [x, weight] = [tf.tensor2d(numbers, [tokens, channels]), tf.tensor3d(w, [channels, 1, 4])];
  const nearby = nearbyPositions(segmentsOf([tokens]), 1, 4);
  assert.ok(off(causalConvolution(x, { weight, isTrained: true }, nearby, 1), y) < 1e-6);
  const before = tf.reshape(tf.concat([tf.zeros([1, channels]), tf.slice(x, [0, 0], [2, channels])]), [
    1,
    3,
    channels,
  ]);
  const later = tf.slice(x, [2, 0], [tokens - 2, channels]);
  const rest = continuedConvolution(later, { weight }, before, allUsed(tokens - 2));
  assert.ok(off(rest, y.slice(2 * channels)) < 1e-6);
});

test('the convolution does not reach into other sequences; its gradients by finite differences', () => {
  const lengths = [2, 5, 1, 4];
  const x = tf.randomUniform([12, 3], -1, 1, 'float32', 3) as tf.Tensor2D;
  const weight = tf.randomUniform([3, 1, 4], -1, 1, 'float32', 4);
  const nearby = nearbyPositions(segmentsOf(lengths), 1, 4);
  for (const mask of nearby.masks!) tf.keep(mask);
  let from = 0;
  const alone = lengths.map((length) => {
    const part = tf.slice(x, [from, 0], [length, 3]);
    from += length;
    return causalConvolution(
      part,
      { weight, isTrained: true },
      nearbyPositions(segmentsOf([length]), 1, 4),
      1,
    );
  });
  assert.ok(
    off(causalConvolution(x, { weight, isTrained: true }, nearby, 1), [...tf.concat(alone).dataSync()]) <
      1e-6,
  );
  checkGradients((x, weight) => causalConvolution(x, { weight, isTrained: true }, nearby, 1), [x, weight]);
});
