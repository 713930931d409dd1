/** Compares attention with sinks, whole and in blocks, with one more key whose value is zero. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { planBlocks } from '../../block-sizes/plan-blocks.ts';
import { withComputation } from '../computation.ts';
import { distance, floats, type Layer, run } from '../testing/against-stock.ts';
import { attention } from './attention.ts';
import { packedCausalMask } from './masks.ts';

const [rows, tokens, heads, kvHeads, width, window] = [2, 32, 6, 3, 6, 7];
const ints = (values: number[]) => tf.tensor1d(values, 'int32');
/** Two sequences of 19 and 13 positions in each row. */
const places = Array.from({ length: rows * tokens }, (_, i) => i % tokens);
const mask = () =>
  packedCausalMask(
    {
      segments: ints(places.map((i) => (i < 19 ? 1 : 2))),
      positions: ints(places.map((i) => (i < 19 ? i : i - 19))),
    },
    rows,
    { window },
  );

const given = [
  floats([rows, heads, tokens, width]),
  floats([rows, kvHeads, tokens, width]),
  floats([rows, kvHeads, tokens, width]),
  floats([heads], 2),
];

const withKey: Layer = (inputs) => {
  const [q, k, v, sinks] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  const shape = [rows, heads, tokens, width];
  const repeated = (x: tf.Tensor) =>
    tf.reshape(tf.mul(tf.expandDims(x, 2), tf.ones([1, 1, heads / kvHeads, 1, 1])), shape);
  const masked = tf.add(tf.matMul(q, repeated(k), false, true), mask().additive());
  const column = tf.mul(tf.reshape(sinks, [1, heads, 1, 1]), tf.ones([rows, 1, tokens, 1]));
  const values = tf.concat([repeated(v), tf.zeros([rows, heads, 1, width])], 2);
  return tf.matMul(tf.softmax(tf.concat([masked, column], 3), -1), values);
};

for (const [name, scoreBytes] of [
  ['whole', 1e9],
  ['in blocks', 1500],
] as const)
  test(`a sink is one more key without a value: attention ${name}`, async () => {
    const sized = { rows, kvHeads, group: heads / kvHeads, queries: tokens, keys: tokens };
    const plan = planBlocks(sized, scoreBytes, { visibleKeys: mask().visibleKeys, skewed: false });
    assert.equal(plan === null, name === 'whole');
    const layer: Layer = ([q, k, v, sinks]) =>
      withComputation({ scoreBytes }, () => attention(q!, k!, v!, mask(), { sinks }));
    const expected = await run(withKey, given, 'stock', 'fp32');
    const results = await run(layer, given, 'stock', 'fp32');
    for (const [i, result] of results.entries()) {
      const off = distance(result, expected[i]!);
      assert.ok(off <= 2e-6, `${['output', 'q', 'k', 'v', 'sinks'][i]} is off by ${off}`);
    }
  });
