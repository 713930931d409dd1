/** Compares the kernels of gated DeltaNet layers, for each instruction set that this processor has, with stock operations. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { tf, useKernels } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import { withComputation } from '../computation.ts';
import {
  agrees,
  below,
  distance,
  floats,
  type Given,
  ints,
  type Layer,
  run,
  sets,
} from '../testing/against-stock.ts';
import { causalConvolution, continuedConvolution, nearbyPositions } from './causal-convolution.ts';
import { continuedDeltaRule, type DeltaHeads, type DeltaInputs, deltaRule } from './delta-rule.ts';
import { continuedChunks, segmentChunks } from './segment-chunks.ts';

/** Sums of logarithms and solved systems of 64 positions differ in their last digits. */
const WITHIN = { fp32: 5e-5, bf16: 0.03 };

const named = ([q, k, v, decay, rate]: tf.Tensor[]): DeltaInputs => ({
  q: q!,
  k: k!,
  v: v!,
  decay: decay!,
  rate: rate!,
});

/** Random inputs of N positions: decays from −1.5 to 0, some of them 0, and rates from 0 to 1, some of them 0. */
function inputsOf(N: number, { keyHeads, valueHeads, keySize, valueSize }: DeltaHeads): Given[] {
  const gates = (most: number): Given => {
    const given = floats([N, valueHeads]);
    return { ...given, data: given.data.map((x) => (x < -0.8 ? 0 : ((Math.abs(x) * most) as number))) };
  };
  return [
    floats([N, keyHeads * keySize]),
    floats([N, keyHeads * keySize]),
    floats([N, valueHeads * valueSize]),
    gates(-1.5),
    gates(1),
  ];
}

/** Rows of the sequences' numbers; the rest of a row is padding. */
const segmentsOf = (rows: number[][], tokens: number): Given => {
  const numbers = rows.flatMap((lengths) => {
    const own = lengths.flatMap((length, i) => Array<number>(length).fill(i + 1));
    return own.concat(Array<number>(tokens - own.length).fill(0));
  });
  return ints([numbers.length], numbers);
};

/** 1 at positions of sequences: the kernels compute nothing at the others. */
const used = (segments: tf.Tensor) => tf.expandDims(tf.minimum(tf.cast(segments, 'float32'), 1), 1);

const shapes: { heads: DeltaHeads; rows: number[][] }[] = [
  { heads: { keyHeads: 1, valueHeads: 1, keySize: 4, valueSize: 3 }, rows: [[1]] },
  { heads: { keyHeads: 2, valueHeads: 4, keySize: 5, valueSize: 7 }, rows: [[30, 34, 1, 70, 15]] },
  { heads: { keyHeads: 2, valueHeads: 2, keySize: 16, valueSize: 24 }, rows: [[64, 20, 66], [128, 22], [7]] },
  { heads: { keyHeads: 1, valueHeads: 3, keySize: 33, valueSize: 16 }, rows: [[129], [63]] },
  // More than one span of chunks.
  { heads: { keyHeads: 1, valueHeads: 2, keySize: 8, valueSize: 8 }, rows: [[1100, 40]] },
  // A published head.
  { heads: { keyHeads: 1, valueHeads: 2, keySize: 128, valueSize: 128 }, rows: [[70, 30]] },
];

test('the delta rule, over packed sequences of any length', async () => {
  for (const { heads, rows } of shapes) {
    const tokens = Math.max(...rows.map((lengths) => lengths.reduce((a, b) => a + b))) + below(3);
    const layer: Layer = ([segments, ...parts]) => {
      const y = deltaRule(named(parts), heads, segmentChunks(segments!, rows.length));
      return tf.mul(tf.cast(y, 'float32'), used(segments!));
    };
    const given = [segmentsOf(rows, tokens), ...inputsOf(tokens * rows.length, heads)];
    await agrees(layer, given, layer, WITHIN);
  }
});

test('random shapes of the delta rule', async () => {
  for (let i = 0; i < 4; i++) {
    const keyHeads = 1 + below(3);
    const heads = {
      keyHeads,
      valueHeads: keyHeads * (1 + below(3)),
      keySize: 1 + below(40),
      valueSize: 1 + below(40),
    };
    const rows = Array.from({ length: 1 + below(2) }, () =>
      Array.from({ length: 1 + below(4) }, () => 1 + below(90)),
    );
    const tokens = Math.max(...rows.map((lengths) => lengths.reduce((a, b) => a + b)));
    const layer: Layer = ([segments, ...parts]) => {
      const y = deltaRule(named(parts), heads, segmentChunks(segments!, rows.length));
      return tf.mul(tf.cast(y, 'float32'), used(segments!));
    };
    await agrees(layer, [segmentsOf(rows, tokens), ...inputsOf(tokens * rows.length, heads)], layer, WITHIN);
  }
});

test('values and gradients of the delta rule are those of transformers', () => {
  const file = path.join(import.meta.dirname, 'testdata/delta-rule.json');
  const names = ['q', 'k', 'v', 'decay', 'rate'] as const;
  type Numbers = Record<(typeof names)[number], number[]>;
  const cases = JSON.parse(readFileSync(file, 'utf8')).chunked as {
    tokens: number;
    heads: DeltaHeads;
    inputs: Numbers;
    y: number[];
    gradients: Numbers;
  }[];
  for (const set of sets) {
    useKernels(set);
    for (const { tokens, heads, inputs, y, gradients } of cases)
      withComputation({ implementation: 'kernels' }, () => {
        const given = names.map((name) => tf.tensor2d(inputs[name], [tokens, inputs[name].length / tokens]));
        const chunks = segmentChunks(tf.ones([tokens], 'int32'), 1);
        const rule = (...parts: tf.Tensor[]) => deltaRule(named(parts), heads, chunks);
        const off = (got: tf.Tensor, expected: number[]) =>
          distance(got.dataSync() as Float32Array, Float32Array.from(expected));
        assert.ok(off(rule(...given), y) < 5e-5, set);
        const weights = tf.tensor(
          y.map((_, i) => Math.cos(1 + 1.7 * i)),
          [tokens, y.length / tokens],
        );
        const found = tf.grads(rule)(given, weights);
        for (const [i, name] of names.entries()) {
          const far = off(found[i]!, gradients[name]);
          assert.ok(far < 1e-4, `${set}: the gradient of ${name} is off by ${far}`);
        }
      });
  }
});

test('gradients of the delta rule by finite differences', () => {
  useKernels('auto');
  const heads = { keyHeads: 1, valueHeads: 2, keySize: 4, valueSize: 3 };
  const given = inputsOf(100, heads).map(({ shape, data }) => tf.tensor(data, shape));
  // Far enough below 0 for the steps of the differences.
  given[3] = tf.sub(given[3]!, 0.05);
  withComputation({ implementation: 'kernels' }, () => {
    const { shape, data } = segmentsOf([[20, 70, 10]], 100);
    const chunks = segmentChunks(tf.keep(tf.tensor(data, shape, 'int32')), 1);
    checkGradients((...parts: tf.Tensor[]) => deltaRule(named(parts), heads, chunks), given, { samples: 6 });
  });
});

test('a state carries on where rows were cut; a row without positions keeps it', async () => {
  const heads = { keyHeads: 2, valueHeads: 4, keySize: 12, valueSize: 20 };
  const [tokens, rows] = [70, 3];
  const size = heads.valueHeads * heads.keySize * heads.valueSize;
  const lengths = [70, 1, 0];
  const used = Array.from({ length: rows * tokens }, (_, at) =>
    at % tokens < lengths[Math.floor(at / tokens)]! ? 1 : 0,
  );
  const given = [ints([rows * tokens], used), floats([rows, size]), ...inputsOf(rows * tokens, heads)];
  for (const at of [5, 6])
    for (const [i, one] of used.entries())
      if (one === 0) given[at]!.data.fill(0, i * heads.valueHeads, (i + 1) * heads.valueHeads);
  const layer: Layer = ([used, first, ...parts]) => {
    const state = tf.reshape(first!, [rows, heads.valueHeads, heads.keySize, heads.valueSize]);
    const after = continuedDeltaRule(named(parts), heads, continuedChunks(rows, tokens, used!), state);
    const y = tf.mul(tf.cast(after.y, 'float32'), tf.expandDims(tf.cast(used!, 'float32'), 1));
    return tf.concat([tf.reshape(y, [-1]), tf.reshape(after.state, [-1])]);
  };
  const expected = await run(layer, given, 'stock', 'fp32', false);
  for (const set of sets) {
    useKernels(set);
    const [found] = await run(layer, given, 'kernels', 'fp32', false);
    assert.ok(distance(found!, expected[0]!) < 5e-5, set);
    assert.deepEqual(found!.slice(-size), Float32Array.from(given[1]!.data.slice(-size)));
  }
});

test('a sequence gets the same bits alone, beside others and later in a list', async () => {
  const heads = { keyHeads: 1, valueHeads: 2, keySize: 16, valueSize: 16 };
  useKernels('auto');
  const alone = inputsOf(130, heads);
  const others = inputsOf(37, heads);
  const joined = alone.map(({ shape, data }, i) => ({
    shape: [167, shape[1]!],
    data: Float32Array.from([...others[i]!.data, ...data]),
  }));
  const layer: Layer = ([segments, ...parts]) => deltaRule(named(parts), heads, segmentChunks(segments!, 1));
  const [first] = await run(layer, [segmentsOf([[130]], 130), ...alone], 'kernels', 'fp32');
  const [second] = await run(layer, [segmentsOf([[37, 130]], 167), ...joined], 'kernels', 'fp32');
  assert.deepEqual(second!.slice(37 * 32), first);
});

test('a NaN stays within its sequence and its head', async () => {
  const heads = { keyHeads: 2, valueHeads: 2, keySize: 8, valueSize: 4 };
  const given = inputsOf(40, heads);
  given[2]!.data[8 * 25] = Number.NaN;
  const layer: Layer = ([segments, ...parts]) => deltaRule(named(parts), heads, segmentChunks(segments!, 1));
  for (const set of sets) {
    useKernels(set);
    const [y] = await run(layer, [segmentsOf([[20, 20]], 40), ...given], 'kernels', 'fp32', false);
    assert.ok(y!.subarray(0, 8 * 20).every(Number.isFinite), set);
    for (let at = 20; at < 40; at++)
      assert.ok(y!.subarray(8 * at + 4, 8 * at + 8).every(Number.isFinite), set);
    assert.ok(y!.subarray(8 * 25, 8 * 40).some(Number.isNaN), set);
  }
});

test('the causal convolution, over packed sequences and after earlier positions', async () => {
  for (const { width, reach, rows } of [
    { width: 1, reach: 1, rows: [[3]] },
    { width: 5, reach: 4, rows: [[2, 5, 1, 4]] },
    {
      width: 70,
      reach: 4,
      rows: [
        [9, 3],
        [1, 1],
      ],
    },
    { width: 130, reach: 6, rows: [[4, 30]] },
  ]) {
    const tokens = Math.max(...rows.map((lengths) => lengths.reduce((a, b) => a + b))) + 1;
    const N = tokens * rows.length;
    const layer: Layer = ([segments, x, weight]) => {
      const nearby = nearbyPositions(segments!, rows.length, reach);
      return tf.mul(
        tf.cast(causalConvolution(x!, { weight: weight!, isTrained: true }, nearby, rows.length), 'float32'),
        used(segments!),
      );
    };
    await agrees(layer, [segmentsOf(rows, tokens), floats([N, width]), floats([width, 1, reach])], layer, {
      fp32: 1e-5,
      bf16: 0.02,
    });
    if (reach === 1) continue;
    const later: Layer = ([used, x, weight, before]) =>
      continuedConvolution(
        x!,
        { weight: weight! },
        tf.reshape(before!, [rows.length, reach - 1, width]),
        used!,
      );
    const given = [
      ints([N], Array<number>(N).fill(1)),
      floats([N, width]),
      floats([width, 1, reach]),
      floats([rows.length, (reach - 1) * width]),
    ];
    const [expected] = await run(later, given, 'stock', 'fp32', false);
    for (const set of sets) {
      useKernels(set);
      const [found] = await run(later, given, 'kernels', 'fp32', false);
      assert.ok(distance(found!, expected!) < 1e-5, set);
    }
  }
});
