/** Compares attention by kernels, for each instruction set that this processor has, with the stock implementation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { takeRows } from '../rows.ts';
import { agrees, floats, type Given, type Layer, run, spoilt } from '../testing/against-stock.ts';
import { wholeAttention } from './attention.ts';
import { type Heads, RotaryTables, sideBySide } from './heads.ts';
import { rotationOf } from './rotary.ts';
import { segmentAttention } from './segment-attention.ts';

interface Case {
  heads: number;
  kvHeads: number;
  headSize: number;
  /** For each segment the number of positions without its prefix, and the number of the segment that is its prefix. */
  segments: { own: number; prefix?: number }[];
  /** True where queries and keys are rotated; a number: how many numbers of each head are. */
  rotated: boolean | number;
  causal: boolean;
  window: number | null;
  /** Number of positions of no segment at the end. */
  padding: number;
  /** Dropout probability of the attention probabilities. */
  dropout?: number;
  /** A bias of the scores by distance, up to this distance. */
  reach?: number;
  /** Every head has a sink. */
  sinks?: true;
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
    heads: 4,
    kvHeads: 2,
    headSize: 24,
    segments: [{ own: 21 }, { own: 13, prefix: 0 }],
    rotated: 18,
    causal: true,
    window: null,
    padding: 2,
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
  {
    heads: 6,
    kvHeads: 2,
    headSize: 12,
    segments: [{ own: 21 }, { own: 38 }, { own: 1 }],
    rotated: false,
    causal: false,
    window: null,
    padding: 2,
    dropout: 0.3,
  },
  {
    heads: 2,
    kvHeads: 2,
    headSize: 8,
    segments: [{ own: 33 }, { own: 9, prefix: 0 }],
    rotated: true,
    causal: true,
    window: 20,
    padding: 0,
    dropout: 0.1,
  },
  {
    heads: 4,
    kvHeads: 2,
    headSize: 8,
    segments: [{ own: 30 }, { own: 7 }, { own: 17 }],
    rotated: false,
    causal: false,
    window: null,
    padding: 3,
    reach: 11,
  },
  {
    heads: 2,
    kvHeads: 2,
    headSize: 16,
    segments: [{ own: 19 }, { own: 40, prefix: 0 }, { own: 1 }],
    rotated: false,
    causal: true,
    window: null,
    padding: 0,
    dropout: 0.2,
    reach: 50,
  },
  // More segments share one prefix than there are private gradient buffers for it.
  {
    heads: 4,
    kvHeads: 2,
    headSize: 12,
    segments: [
      { own: 23 },
      ...Array.from({ length: 41 }, (_, i) => ({ own: 1 + (i % 5), prefix: 0 })),
      { own: 9 },
      { own: 4, prefix: 42 },
      { own: 6, prefix: 42 },
    ],
    rotated: true,
    causal: true,
    window: null,
    padding: 2,
  },
  // Prefixes that follow a prefix: more chains than one prefix has buffers, and some that continue the outer prefix directly.
  {
    heads: 4,
    kvHeads: 2,
    headSize: 12,
    segments: [
      { own: 23 },
      { own: 11, prefix: 0 },
      { own: 4, prefix: 1 },
      { own: 19, prefix: 1 },
      { own: 7, prefix: 0 },
      ...Array.from({ length: 6 }, (_, i) => [
        { own: 3 + i, prefix: 0 },
        { own: 1 + (i % 5), prefix: 5 + 3 * i },
        { own: 6, prefix: 5 + 3 * i },
      ]).flat(),
      { own: 9 },
    ],
    rotated: true,
    causal: true,
    window: null,
    padding: 2,
  },
  {
    heads: 2,
    kvHeads: 2,
    headSize: 16,
    segments: [
      { own: 10 },
      { own: 12, prefix: 0 },
      { own: 30, prefix: 1 },
      { own: 5, prefix: 1 },
      { own: 8, prefix: 0 },
    ],
    rotated: false,
    causal: true,
    window: 17,
    padding: 0,
    dropout: 0.2,
  },
  {
    heads: 2,
    kvHeads: 2,
    headSize: 8,
    segments: [{ own: 6 }, { own: 9, prefix: 0 }, { own: 7, prefix: 1 }, { own: 20, prefix: 1 }],
    rotated: false,
    causal: true,
    window: null,
    padding: 1,
    reach: 12,
  },
  {
    heads: 6,
    kvHeads: 2,
    headSize: 20,
    segments: [{ own: 18 }, { own: 31, prefix: 0 }, { own: 9, prefix: 1 }, { own: 1 }],
    rotated: true,
    causal: true,
    window: 11,
    padding: 3,
    dropout: 0.2,
    sinks: true,
  },
];

/** The spans and the mask of every pair of positions. */
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
  /** The positions of a segment, those of its prefixes first. */
  const keysOf = (s: number): number[] => {
    const { own, prefix } = segments[s]!;
    const before = prefix === undefined ? [] : keysOf(prefix);
    return [...before, ...Array.from({ length: own }, (_, i) => starts[s]! + i)];
  };
  segments.forEach(({ own, prefix }, s) => {
    const [from, to] =
      prefix === undefined ? [0, 0] : [starts[prefix]!, starts[prefix]! + segments[prefix]!.own];
    const start = starts[s]!;
    spans.push(start, start + own, from, to);
    const keys = keysOf(s);
    for (let i = 0; i < own; i++) {
      const position = keys.length - own + i;
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
  const { dropout: probability = 0, reach, sinks } = one;
  const of = `${heads} heads of ${headSize}, ${segments.length} segments`;
  const added = reach === undefined ? '' : `, a bias up to ${reach} positions`;
  test(`segmentAttention: ${of}, ${probability} dropped${added}${sinks ? ', sinks' : ''}`, async () => {
    const { count, positions, spans, mask } = laidOut(one);
    const site = (): Heads => ({
      heads,
      kvHeads,
      headSize,
      scale: 1 / Math.sqrt(headSize),
      ...(rotated
        ? {
            rotation: rotationOf(
              tf.tensor1d(positions, 'int32'),
              Array.from(
                { length: (rotated === true ? headSize : rotated) / 2 },
                (_, i) => 100 ** (-i / headSize),
              ),
              rotated === true ? 1 : 1.3,
            ),
          }
        : {}),
    });
    const inside = Float32Array.from({ length: count }, (_, i) => (i < count - one.padding ? 1 : 0));
    // Outputs at positions of no segment are undefined and do not count.
    const counted = (y: tf.Tensor) => tf.mul(y, tf.tensor(inside, [count, 1]));
    const given = [
      floats([count, heads * headSize], 2),
      floats([count, kvHeads * headSize], 2),
      floats([count, kvHeads * headSize]),
      ...(reach === undefined ? [] : [floats([2 * reach + 1, heads], 2)]),
      ...(sinks ? [floats([heads], 3)] : []),
    ];
    const dropout = () => ({ probability, random: { seed: tf.tensor1d([7, 3], 'int32'), stream: 2 } });
    /** The bias `(1, heads, count, count)` by distance. */
    const biasOf = (relative: tf.Tensor) => {
      const row = (i: number) => {
        const later = positions[i % count]! - positions[Math.floor(i / count)]!;
        return Math.max(-reach!, Math.min(reach!, later)) + reach!;
      };
      const rows = tf.tensor1d(
        Array.from({ length: count ** 2 }, (_, i) => row(i)),
        'int32',
      );
      return tf.transpose(tf.reshape(takeRows(relative, rows), [1, count, count, heads]), [0, 3, 1, 2]);
    };
    await agrees(
      ([q, k, v, other]) =>
        counted(
          segmentAttention(
            [q!, k!, v!],
            site(),
            tf.tensor2d(spans.concat(0, 0, 0, 0), [segments.length + 1, 4], 'int32'),
            { causal, window, dropout: dropout(), ...(sinks ? { sinks: other } : { relative: other }) },
          ),
        ),
      given,
      ([q0, k0, v0, other]) => {
        const { q, k, v } = new RotaryTables().byHead([q0!, k0!, v0!], site(), 1);
        const bias = other && !sinks ? biasOf(other) : undefined;
        const options = { dropout: dropout(), bias, sinks: sinks && other };
        return counted(sideBySide(wholeAttention(q, k, v, tf.tensor(mask, [1, 1, count, count]), options)));
      },
      { fp32: 1e-5, bf16: 0.03 },
    );
  });
}

/** For each segment the number of its positions and of its memory's keys. No segment has the remaining keys at the end. */
const memories = [
  [5, 12],
  [21, 40],
  [1, 3],
] as const;
for (const probability of [0, 0.25])
  test(`segmentAttention over a memory, ${probability} dropped`, async () => {
    const site = { heads: 4, kvHeads: 2, headSize: 12, scale: 0.3 };
    const [count, keys] = [30, 60];
    const spans: number[] = [];
    const mask = new Float32Array(count * keys).fill(-1e9);
    let [start, keyStart] = [0, 2];
    for (const [own, read] of memories) {
      spans.push(start, start + own, keyStart, keyStart + read);
      for (let i = start; i < start + own; i++) mask.fill(0, i * keys + keyStart, i * keys + keyStart + read);
      [start, keyStart] = [start + own, keyStart + read];
    }
    const inside = Float32Array.from({ length: count }, (_, i) => (i < start ? 1 : 0));
    const counted = (y: tf.Tensor) => tf.mul(y, tf.tensor(inside, [count, 1]));
    const dropout = () => ({ probability, random: { seed: tf.tensor1d([1, -9], 'int32'), stream: 0 } });
    await agrees(
      (parts) =>
        counted(
          segmentAttention(parts, site, tf.tensor2d(spans.concat(0, 0, 0, 0), [4, 4], 'int32'), {
            causal: false,
            window: null,
            cross: true,
            dropout: dropout(),
          }),
        ),
      [floats([count, 48], 2), floats([keys, 24], 2), floats([keys, 24])],
      (parts) => {
        const { q, k, v } = new RotaryTables().byHead(parts, site, 1);
        const seen = tf.tensor(mask, [1, 1, count, keys]);
        return counted(sideBySide(wholeAttention(q, k, v, seen, { dropout: dropout() })));
      },
      { fp32: 1e-5, bf16: 0.03 },
    );
  });

test('a NaN is seen by the positions that see it, and large scores stay finite', async () => {
  const kernels = (layer: Layer, given: Given[]) => run(layer, given, 'kernels', 'fp32');
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

test('a memory that two read, spans outside the positions, a seed of one number are refused', async () => {
  const site = { heads: 1, kvHeads: 1, headSize: 4, scale: 1 };
  const twice: Layer = ([q]) =>
    segmentAttention([q!, q!, q!], site, tf.tensor2d([0, 2, 0, 3, 2, 4, 2, 5], [2, 4], 'int32'), {
      causal: false,
      window: null,
      cross: true,
    });
  await assert.rejects(run(twice, [floats([5, 4])], 'kernels', 'fp32'), /two segments read the same memory/);
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
