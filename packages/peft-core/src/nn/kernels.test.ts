/** Every kernel, of each instruction set that this processor has, against the stock implementation of the same layer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelSets, ProgramBuilder, tf, useKernels } from '@graft/tf-graph';
import { Random } from '../random.ts';
import { siluProduct } from './activations.ts';
import { attention } from './attention/attention.ts';
import { type Heads, RotaryTables, sideBySide } from './attention/heads.ts';
import { rotationOf } from './attention/rotary.ts';
import { segmentAttention } from './attention/segment-attention.ts';
import { type Implementation, type MatmulPrecision, withComputation } from './computation.ts';
import { headLoss } from './cross-entropy.ts';
import { updatedLinear } from './low-rank.ts';
import { rmsNorm } from './rms-norm.ts';
import { takeRows } from './rows.ts';
import type { Weight } from './weight.ts';

/** Best first. */
const sets = kernelSets().filter((set) => set !== 'stock');

interface Given {
  shape: number[];
  data: Float32Array | Int32Array;
}
type Layer = (inputs: tf.Tensor[]) => tf.Tensor;
/** A layer's output and the gradients of its float inputs, under an uneven weighting of the output. */
type Results = Float32Array[];

const random = new Random(5, 'test');
const below = (count: number) => Math.floor(random.uniform() * count);
const floats = (shape: number[], size = 1): Given => ({
  shape,
  data: Float32Array.from(
    { length: shape.reduce((a, b) => a * b, 1) },
    () => (2 * random.uniform() - 1) * size,
  ),
});
const ints = (shape: number[], values: number[]): Given => ({ shape, data: Int32Array.from(values) });

/** Runs `layer` as a traced function, twice: the second run must give the same bits. */
async function run(
  layer: Layer,
  given: Given[],
  implementation: Implementation,
  precision: MatmulPrecision,
): Promise<Results> {
  const builder = new ProgramBuilder();
  const specs = given.map(({ shape, data }, i) => [
    `x${i}`,
    { shape, dtype: data instanceof Float32Array ? 'float32' : 'int32' } as const,
  ]);
  const fn = builder.function('f', Object.fromEntries(specs), (inputs) =>
    withComputation({ implementation, precision }, () => {
      const tensors = given.map((_, i) => inputs[`x${i}`]!);
      const trained = tensors.filter((_, i) => given[i]!.data instanceof Float32Array);
      const weighted = () => {
        const y = layer(tensors);
        const weights = Float32Array.from({ length: y.size }, (_, i) => Math.cos(1 + 1.7 * i));
        return tf.sum(tf.mul(y, tf.tensor(weights, y.shape)));
      };
      const { grads } = tf.engine().gradients(weighted, trained, undefined, true);
      // What is frozen has no gradient.
      const results = [layer(tensors), ...(grads as (tf.Tensor | undefined)[])].flatMap((t) => t ?? []);
      return Object.fromEntries(results.map((t, i) => [`y${i}`, t]));
    }),
  );
  const program = builder.build();
  const feeds = Object.fromEntries(given.map(({ data }, i) => [`x${i}`, data]));
  const once = () => {
    const outputs = program.run(fn, feeds) as Record<string, { data: Float32Array }>;
    return Object.keys(outputs).map((_, i) => Float32Array.from(outputs[`y${i}`]!.data));
  };
  const results = once();
  assert.deepEqual(once(), results, 'a run repeats bit for bit');
  program.close();
  return results;
}

/** Largest difference as a share of the largest number. */
function distance(got: Float32Array, expected: Float32Array): number {
  assert.equal(got.length, expected.length);
  const scale = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-6);
  return got.reduce((most, x, i) => {
    const off = Math.abs(x - expected[i]!) / scale;
    return Math.max(most, Number.isNaN(off) ? Number.POSITIVE_INFINITY : off);
  }, 0);
}

async function agrees(
  layer: Layer,
  given: Given[],
  stock: Layer = layer,
  within: Record<MatmulPrecision, number> = { fp32: 2e-6, bf16: 0.02 },
): Promise<void> {
  const expected = await run(stock, given, 'stock', 'fp32');
  const ways = sets.flatMap((set) => (['fp32', 'bf16'] as const).map((precision) => ({ set, precision })));
  for (const { set, precision } of ways) {
    useKernels(set);
    const results = await run(layer, given, 'kernels', precision);
    results.forEach((result, i) => {
      const off = distance(result, expected[i]!);
      const what = i === 0 ? 'output' : `gradient ${i}`;
      assert.ok(
        off <= within[precision],
        `${set} in ${precision}: the ${what} is off by ${off}, ${JSON.stringify(given.map((g) => g.shape))}`,
      );
    });
  }
}

test('every processor has kernels, and a set that it lacks is refused', () => {
  assert.ok(sets.includes('baseline'), `${sets}`);
  assert.throws(() => useKernels('sse9'), /no kernels called sse9 here, only .*baseline, stock/);
});

test('rmsNorm, over rows and over heads', async () => {
  const norm: Layer = ([x, w]) => rmsNorm(x!, w!, 1e-5);
  for (const shape of [
    [3, 5],
    [7, 16],
    [1, 37],
    [33, 576],
    [4, 3, 20],
  ])
    await agrees(norm, [floats(shape), floats([shape.at(-1)!])]);
});

test('siluProduct', async () => {
  for (const [rows, width] of [
    [1, 1],
    [5, 19],
    [33, 64],
  ] as const)
    await agrees(
      ([gate, up]) => siluProduct([gate!, up!]),
      [floats([rows, width], 6), floats([rows, width])],
    );
});

test('updatedLinear: several updates of one product, with gaps between their columns, of a frozen and a trained weight', async () => {
  const frozen = (tensor: tf.Tensor): Weight => ({
    ...{ kind: 'frozen', shape: tensor.shape },
    read: () => tensor,
    gather: (ids) => tf.gather(tensor, ids),
  });
  for (const weightOf of [frozen, (tensor: tf.Tensor): Weight => ({ kind: 'trained', tensor })]) {
    const layer: Layer = ([x, w, bias, a1, b1, a2, b2]) =>
      updatedLinear(x!, { weight: weightOf(w!), bias: bias!, transposed: false }, [
        { a: a1!, b: b1!, scale: 2, offset: 3 },
        { a: a2!, b: b2!, scale: 0.5, offset: 20 },
      ]);
    const shapes = [[41, 13], [41], [4, 13], [9, 4], [3, 13], [18, 3]];
    for (const rows of [1, 6, 35])
      await agrees(layer, [floats([rows, 13]), ...shapes.map((shape) => floats(shape))]);
    const whole: Layer = ([x, w, a, b]) =>
      updatedLinear(x!, { weight: weightOf(w!), bias: null, transposed: true }, [
        { a: a!, b: b!, scale: 1, offset: 0 },
      ]);
    await agrees(whole, [floats([7, 16]), floats([16, 24]), floats([8, 16]), floats([24, 8])]);
  }
});

test('headLoss: labels, ties and scales of 0', async () => {
  for (const [rows, width, classes] of [
    [1, 4, 7],
    [9, 16, 50],
    [300, 8, 33],
  ] as const) {
    const labels = ints(
      [rows],
      Array.from({ length: rows }, () => below(classes)),
    );
    const scales = ints(
      [rows],
      Array.from({ length: rows }, (_, i) => i % 3),
    );
    const layer = (pick: 'total' | 'losses' | 'correct'): Layer => {
      return ([hidden, labels, scales, table]) => {
        const tensor = table!;
        const loss = headLoss(
          hidden!,
          { kind: 'trained', tensor },
          labels!,
          tf.cast(scales!, 'float32'),
          true,
        );
        return pick === 'total' ? tf.reshape(loss.total, [1]) : tf.clone(loss[pick]);
      };
    };
    const given = [floats([rows, width], 2), labels, scales, floats([classes, width], 2)];
    await agrees(layer('total'), given);
    const outputs = async (pick: 'losses' | 'correct', implementation: Implementation) => {
      const builder = new ProgramBuilder();
      const inputs = {
        hidden: { shape: given[0]!.shape, dtype: 'float32' },
        labels: { shape: [rows], dtype: 'int32' },
        scales: { shape: [rows], dtype: 'int32' },
        table: { shape: given[3]!.shape, dtype: 'float32' },
      } as const;
      const fn = builder.function('f', inputs, ({ hidden, labels, scales, table }) =>
        withComputation({ implementation }, () => ({ y: layer(pick)([hidden, labels, scales, table]) })),
      );
      const [hidden, label, scale, table] = given.map(({ data }) => data);
      const program = builder.build();
      const { y } = program.run(fn, { hidden: hidden!, labels: label!, scales: scale!, table: table! });
      program.close();
      return y.data as Float32Array;
    };
    assert.ok(distance(await outputs('losses', 'kernels'), await outputs('losses', 'stock')) < 2e-6);
    assert.deepEqual(await outputs('correct', 'kernels'), await outputs('correct', 'stock'));
  }
});

test('takeRows adds gradients up where rows are taken twice', async () => {
  const layer: Layer = ([x, index]) => takeRows(x!, index!);
  await agrees(layer, [floats([9, 37]), ints([6], [0, 8, 3, 3, 3, 1])]);
});

interface Case {
  heads: number;
  kvHeads: number;
  headSize: number;
  /** Own positions of each segment, and the number of the segment that is its prefix. */
  segments: { own: number; prefix?: number }[];
  rotated: boolean;
  causal: boolean;
  window: number | null;
  /** Positions of no segment at the end. */
  padding: number;
}

const cases: Case[] = [
  {
    heads: 2,
    kvHeads: 1,
    headSize: 4,
    segments: [{ own: 3 }, { own: 1 }],
    rotated: false,
    causal: true,
    window: null,
    padding: 2,
  },
  {
    heads: 9,
    kvHeads: 3,
    headSize: 64,
    segments: [{ own: 29 }, { own: 27, prefix: 0 }, { own: 40, prefix: 0 }],
    rotated: true,
    causal: true,
    window: null,
    padding: 0,
  },
  {
    heads: 4,
    kvHeads: 4,
    headSize: 20,
    segments: [{ own: 35 }, { own: 17 }, { own: 64 }],
    rotated: true,
    causal: false,
    window: null,
    padding: 3,
  },
  {
    heads: 3,
    kvHeads: 3,
    headSize: 12,
    segments: [
      { own: 10 },
      { own: 30, prefix: 0 },
      { own: 7 },
      { own: 21, prefix: 2 },
      { own: 5, prefix: 0 },
    ],
    rotated: true,
    causal: true,
    window: 9,
    padding: 1,
  },
];

/** Positions of the spans, and what a mask says of every pair of positions: who sees whom. */
function laidOut({ segments, causal, window, padding }: Case) {
  const starts: number[] = [];
  let end = 0;
  for (const { own } of segments) {
    starts.push(end);
    end += own;
  }
  const count = end + padding;
  const positions = new Int32Array(count);
  const mask = new Float32Array(count * count).fill(-1e9);
  const spans: number[] = [];
  segments.forEach(({ own, prefix }, s) => {
    const [from, to] =
      prefix === undefined ? [0, 0] : [starts[prefix]!, starts[prefix]! + segments[prefix]!.own];
    const start = starts[s]!;
    spans.push(start, start + own, from, to);
    const keys = [
      ...Array.from({ length: to - from }, (_, i) => from + i),
      ...Array.from({ length: own }, (_, i) => start + i),
    ];
    for (let i = 0; i < own; i++) {
      const position = to - from + i;
      positions[start + i] = position;
      keys.forEach((key, j) => {
        const ago = position - j;
        const seen = !causal || (ago >= 0 && (window === null || ago < window));
        if (seen) mask[(start + i) * count + key] = 0;
      });
    }
  });
  return { count, positions, spans, mask };
}

for (const one of cases) {
  const { heads, kvHeads, headSize, rotated, causal, window, segments } = one;
  test(`segmentAttention: ${heads} heads of ${headSize}, ${segments.length} segments`, async () => {
    const { count, positions, spans, mask } = laidOut(one);
    const site = (): Heads => ({
      ...{ heads, kvHeads, headSize, scale: 1 / Math.sqrt(headSize) },
      ...(rotated
        ? {
            rotation: rotationOf(
              tf.tensor1d(positions, 'int32'),
              Array.from({ length: headSize / 2 }, (_, i) => 100 ** (-i / headSize)),
            ),
          }
        : {}),
    });
    const inside = Float32Array.from({ length: count }, (_, i) => (i < count - one.padding ? 1 : 0));
    // What is at positions of no segment is nobody's.
    const counted = (y: tf.Tensor) => tf.mul(y, tf.tensor(inside, [count, 1]));
    const given = [
      floats([count, heads * headSize], 2),
      floats([count, kvHeads * headSize], 2),
      floats([count, kvHeads * headSize]),
    ];
    await agrees(
      ([q, k, v]) =>
        counted(
          segmentAttention(
            [q!, k!, v!],
            site(),
            tf.tensor2d(spans.concat(0, 0, 0, 0), [segments.length + 1, 4], 'int32'),
            { causal, window },
          ),
        ),
      given,
      (inputs) => {
        const { q, k, v } = new RotaryTables().byHead(inputs, site(), 1);
        return counted(sideBySide(attention(q, k, v, tf.tensor(mask, [1, 1, count, count]))));
      },
      { fp32: 1e-5, bf16: 0.03 },
    );
  });
}

test('a NaN anywhere is a NaN in the end, and large numbers stay finite', async () => {
  const kernels = (layer: Layer, given: Given[]) => run(layer, given, 'kernels', 'fp32');
  const spoilt = (given: Given, at: number): Given => {
    const data = Float32Array.from(given.data);
    data[at] = Number.NaN;
    return { ...given, data };
  };
  const norm: Layer = ([x, w]) => rmsNorm(x!, w!, 1e-5);
  const [rows] = await kernels(norm, [spoilt(floats([2, 20]), 3), floats([20])]);
  assert.ok(rows!.subarray(0, 20).every(Number.isNaN));
  assert.ok(rows!.subarray(20).every(Number.isFinite));
  const product: Layer = ([gate, up]) => siluProduct([gate!, up!]);
  const [gated] = await kernels(product, [floats([1, 6], 1e30), floats([1, 6])]);
  assert.ok(gated!.every(Number.isFinite));
  const attend: Layer = ([q, k, v]) =>
    segmentAttention(
      [q!, k!, v!],
      { heads: 1, kvHeads: 1, headSize: 8, scale: 1 },
      tf.tensor2d([0, 5, 0, 0], [1, 4], 'int32'),
      { causal: true, window: null },
    );
  const [large] = await kernels(attend, [floats([5, 8], 1e4), floats([5, 8], 1e4), floats([5, 8])]);
  assert.ok(large!.every(Number.isFinite));
  const [broken] = await kernels(attend, [floats([5, 8]), spoilt(floats([5, 8]), 17), floats([5, 8])]);
  assert.ok(broken!.subarray(0, 16).every(Number.isFinite), 'not yet seen');
  assert.ok(broken!.subarray(16).every(Number.isNaN));
});

test('spans outside the positions, and an index outside the rows, are refused', async () => {
  const outside: Layer = ([q]) =>
    segmentAttention(
      [q!, q!, q!],
      { heads: 1, kvHeads: 1, headSize: 4, scale: 1 },
      tf.tensor2d([0, 6, 0, 0], [1, 4], 'int32'),
      { causal: true, window: null },
    );
  await assert.rejects(
    run(outside, [floats([5, 4])], 'kernels', 'fp32'),
    /segment 0 is not within 5 positions/,
  );
});
