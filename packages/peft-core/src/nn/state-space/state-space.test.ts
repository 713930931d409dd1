import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import {
  causalConvolution,
  continuedConvolution,
  nearbyPositions,
} from '../delta-rule/causal-convolution.ts';
import type { DeltaHeads } from '../delta-rule/delta-rule.ts';
import { inHeadGroups } from '../delta-rule/head-groups.ts';
import { continuedChunks, segmentChunks } from '../delta-rule/segment-chunks.ts';
import { allUsed, off, segmentsOf, weightsOf } from '../testing/sequences.ts';
import { continuedStateSpace, stateSpace } from './state-space.ts';

const NAMES = ['q', 'k', 'v', 'rate', 'factors'] as const;
type Numbers = Record<(typeof NAMES)[number], number[]>;
interface Case {
  tokens: number;
  heads: DeltaHeads;
  inputs: Numbers;
  y: number[];
  gradients: Numbers;
}
type Convolution = Record<'x' | 'weight' | 'bias', number[]>;
const golden = JSON.parse(
  readFileSync(path.join(import.meta.dirname, 'testdata/state-space.json'), 'utf8'),
) as {
  scans: Case[];
  convolution: { tokens: number; channels: number; inputs: Convolution; y: number[]; gradients: Convolution };
};

const largest = (values: number[]) => Math.max(1, ...values.map(Math.abs));
const chunksOf = (lengths: number[], rows = 1) => segmentChunks(segmentsOf(lengths), rows, false);

/** q, k, v, rate and, of one row, the factors of each head's rate in its decay. */
const inputsOf = ({ inputs, tokens }: Case): tf.Tensor[] =>
  NAMES.map((name) => {
    const rows = name === 'factors' ? 1 : tokens;
    return tf.tensor2d(inputs[name], [rows, inputs[name].length / rows]);
  });
const named = ([q, k, v, rate, factors]: tf.Tensor[]) => ({
  q: q!,
  k: k!,
  v: v!,
  rate: rate!,
  decay: tf.mul(rate!, factors!),
});
const rowsOf = (given: tf.Tensor[], from: number, count: number) =>
  given.map((x) => (x.shape[0] === 1 ? x : tf.slice(x, [from, 0], [count, x.shape[1]!])));

for (const scan of golden.scans)
  test(`${scan.tokens} positions, ${scan.heads.keyHeads} groups: values and gradients are those of transformers`, () => {
    const { tokens, heads, y, gradients } = scan;
    const given = inputsOf(scan);
    const rule = (...parts: tf.Tensor[]) => stateSpace(named(parts), heads, chunksOf([tokens]));
    assert.ok(off(rule(...given), y) < 5e-5);
    const found = tf.grads(rule)(given, weightsOf(y, tokens));
    for (const [i, name] of NAMES.entries()) {
      const far = off(found[i]!, gradients[name]);
      assert.ok(far < 2e-6 * largest(gradients[name]), `the gradient of ${name} is off by ${far}`);
    }
  });

test('a state carries on where a sequence was cut, a position at a time and many at once', () => {
  for (const scan of golden.scans) {
    const { tokens, heads, y } = scan;
    const given = inputsOf(scan);
    const states = [1, 7, 100].map((most) => {
      let state: tf.Tensor = tf.zeros([1, heads.valueHeads, heads.keySize, heads.valueSize]);
      const parts: tf.Tensor[] = [];
      for (let from = 0; from < tokens; from += most) {
        const count = Math.min(most, tokens - from);
        const chunks = continuedChunks(1, count, allUsed(count), false);
        const part = continuedStateSpace(named(rowsOf(given, from, count)), heads, chunks, state);
        parts.push(part.y);
        state = part.state;
      }
      const far = off(tf.concat(parts), y);
      assert.ok(far < 5e-5, `${most} at a time: off by ${far}`);
      return [...state.dataSync()];
    });
    for (const state of states) assert.ok(off(tf.tensor1d(state), states[0]!) < 5e-5);
  }
});

test('positions with decay 0 and rate 0 leave the state as it was', () => {
  const scan = golden.scans[0]!;
  const { tokens, heads } = scan;
  const given = named(inputsOf(scan));
  const used = 90;
  const isUsed = Array.from({ length: tokens }, (_, i) => (i < used ? 1 : 0));
  const counts = tf.tensor2d(isUsed, [tokens, 1]);
  const quiet = { ...given, decay: tf.mul(given.decay, counts), rate: tf.mul(given.rate, counts) };
  const first = tf.randomUniform([1, heads.valueHeads, heads.keySize, heads.valueSize], -1, 1, 'float32', 7);
  const short = continuedStateSpace(
    named(rowsOf(inputsOf(scan), 0, used)),
    heads,
    continuedChunks(1, used, allUsed(used), false),
    first,
  );
  const long = continuedStateSpace(quiet, heads, continuedChunks(1, tokens, allUsed(tokens), false), first);
  assert.ok(off(long.state, [...short.state.dataSync()]) < 1e-6);
});

test('sequences packed into rows do not see each other', () => {
  // Sequences that begin within chunks, at their borders, and fill several; in two rows.
  const packed = [
    [30, 34, 1, 70, 15],
    [64, 20, 66],
  ];
  for (const scan of golden.scans.slice(0, 2)) {
    const doubled = inputsOf(scan).map((x) => (x.shape[0] === 1 ? x : tf.concat([x, tf.abs(x)])));
    const chunks = segmentChunks(tf.concat(packed.map(segmentsOf)), packed.length, false);
    const together = stateSpace(named(doubled), scan.heads, chunks);
    let from = 0;
    const alone = packed.flat().map((length) => {
      const part = named(rowsOf(doubled, from, length));
      from += length;
      return stateSpace(part, scan.heads, chunksOf([length]));
    });
    assert.ok(off(together, [...tf.concat(alone).dataSync()]) < 1e-5);
  }
});

test('gradients by finite differences: several sequences, over chunks', () => {
  const scan = golden.scans[0]!;
  const chunks = chunksOf([40, 100, 10]);
  const { q, k, v, rate, decay } = named(inputsOf(scan));
  checkGradients(
    (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, rate: tf.Tensor, decay: tf.Tensor) =>
      stateSpace({ q, k, v, rate, decay }, scan.heads, chunks),
    // Far enough below 0 for the steps of the differences.
    [q, k, v, rate, tf.sub(decay, 0.05)],
    { samples: 6 },
  );
});

test('groups of heads that share an input add up its gradients', () => {
  const { masks } = chunksOf([5]);
  const all = [2, 4].map((width, i) => tf.randomUniform([5, width], -1, 1, 'float32', i));
  const rule = ([a, b]: readonly tf.Tensor[]) => tf.mul(tf.sum(a!, 1, true), tf.square(b!));
  const whole = (...inputs: tf.Tensor[]) => {
    const halves = inputs.map((x) => tf.split(x, 2, 1));
    return tf.concat(
      halves[0]!.map((a, i) => rule([a, halves[1]![i]!])),
      1,
    );
  };
  const grouped = (...inputs: tf.Tensor[]) => inHeadGroups(inputs, [2, 4], masks!, rule);
  assert.ok(off(grouped(...all), [...whole(...all).dataSync()]) < 1e-6);
  const expected = tf.grads(whole)(all);
  for (const [i, found] of tf.grads(grouped)(all).entries())
    assert.ok(off(found, [...expected[i]!.dataSync()]) < 1e-6);
});

test('a convolution with a bias, and its gradients, are those of transformers', () => {
  const { tokens, channels, inputs, y, gradients } = golden.convolution;
  const x = tf.tensor2d(inputs.x, [tokens, channels]);
  const weight = tf.tensor3d(inputs.weight, [channels, 1, 4]);
  const bias = tf.tensor1d(inputs.bias);
  const convolved = (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) =>
    causalConvolution(
      x,
      { weight, bias, isTrained: true },
      nearbyPositions(segmentsOf([tokens]), 1, 4, false),
      1,
    );
  assert.ok(off(convolved(x, weight, bias), y) < 1e-6);
  const found = tf.grads(convolved as (...parts: tf.Tensor[]) => tf.Tensor)(
    [x, weight, bias],
    weightsOf(y, tokens),
  );
  for (const [i, name] of (['x', 'weight', 'bias'] as const).entries())
    assert.ok(off(found[i]!, gradients[name]) < 1e-5, name);
  const later = tf.slice(x, [2, 0], [tokens - 2, channels]);
  const before = tf.concat(
    [tf.zeros([1, 1, channels]), tf.reshape(tf.slice(x, [0, 0], [2, channels]), [1, 2, channels])],
    1,
  );
  const rest = continuedConvolution(later, { weight, bias }, before, allUsed(tokens - 2));
  assert.ok(off(rest, y.slice(2 * channels)) < 1e-6);
});
