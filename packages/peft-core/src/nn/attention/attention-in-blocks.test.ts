/** Compares attention in blocks with a plain implementation, whose gradients are those of its operations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgramBuilder, recordFunctions, tf } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import { planBlocks } from '../../block-sizes/plan-blocks.ts';
import { withComputation } from '../computation.ts';
import { checkpointed } from '../recompute.ts';
import { distance, floats, type Given, type Layer, run } from '../testing/against-stock.ts';
import { attention } from './attention.ts';
import { type Mask, type PackedCausalOptions, packedCausalMask, packedMask } from './masks.ts';
import { type ScoreBias, scoreBias } from './score-bias.ts';

interface Segment {
  own: number;
  /** Number, counted from 1, of the segment that this one shares as its prefix. */
  parent?: number;
}

interface Case {
  of: string;
  /** Sequences of each row; the remaining positions of the row are padding. */
  rows: Segment[][];
  tokens: number;
  heads: number;
  kvHeads: number;
  causal?: boolean;
  window?: number;
  /** Keys before every sequence. */
  prefix?: number;
  /** The keys belong to another grid with this number of tokens, packed in the same way. */
  memory?: { rows: Segment[][]; tokens: number };
  /** A bias by distance, up to this distance. */
  reach?: number;
  /** A bias for each score: one per row, or one shared by all rows. */
  bias?: 'row' | 'all';
  /** Maximum number of bytes of the scores of one block. */
  blockBytes: number;
}

const D = 6;

const cases: Case[] = [
  {
    of: 'causal rows',
    rows: [[{ own: 20 }, { own: 17 }], [{ own: 40 }], [{ own: 5 }, { own: 30 }]],
    tokens: 40,
    heads: 4,
    kvHeads: 4,
    causal: true,
    blockBytes: 1500,
  },
  {
    of: 'grouped heads, blocks that hold several rows',
    rows: [[{ own: 20 }], [{ own: 7 }, { own: 9 }], [{ own: 20 }], [{ own: 11 }], [{ own: 3 }]],
    tokens: 20,
    heads: 6,
    kvHeads: 2,
    causal: true,
    blockBytes: 20_000,
  },
  {
    of: 'a window',
    rows: [[{ own: 50 }, { own: 30 }]],
    tokens: 83,
    heads: 2,
    kvHeads: 1,
    causal: true,
    window: 9,
    blockBytes: 4000,
  },
  {
    of: 'shared beginnings, and a window',
    rows: [[{ own: 12 }, { own: 25, parent: 1 }, { own: 9, parent: 1 }, { own: 7 }, { own: 8, parent: 4 }]],
    tokens: 64,
    heads: 3,
    kvHeads: 3,
    causal: true,
    window: 20,
    blockBytes: 3000,
  },
  {
    of: 'shared beginnings',
    rows: [[{ own: 12 }, { own: 25, parent: 1 }, { own: 9, parent: 1 }, { own: 7 }]],
    tokens: 53,
    heads: 3,
    kvHeads: 3,
    causal: true,
    blockBytes: 3000,
  },
  {
    of: 'both directions',
    rows: [[{ own: 9 }, { own: 11 }], [{ own: 20 }]],
    tokens: 23,
    heads: 4,
    kvHeads: 2,
    blockBytes: 1000,
  },
  {
    of: 'keys before every sequence, and a window',
    rows: [[{ own: 9 }, { own: 11 }], [{ own: 20 }]],
    tokens: 23,
    heads: 4,
    kvHeads: 2,
    causal: true,
    prefix: 5,
    window: 14,
    blockBytes: 1000,
  },
  {
    of: 'keys before every sequence of an encoder',
    rows: [[{ own: 9 }, { own: 11 }], [{ own: 20 }]],
    tokens: 23,
    heads: 4,
    kvHeads: 4,
    prefix: 5,
    blockBytes: 1000,
  },
  {
    of: 'a memory',
    rows: [[{ own: 9 }, { own: 11 }], [{ own: 20 }]],
    tokens: 23,
    heads: 4,
    kvHeads: 4,
    blockBytes: 2000,
    memory: {
      rows: [
        [{ own: 13 }, { own: 21 }],
        [{ own: 16 }, { own: 3 }],
      ],
      tokens: 37,
    },
  },
  {
    of: 'a bias by distance',
    rows: [[{ own: 19 }, { own: 11 }], [{ own: 30 }]],
    tokens: 32,
    heads: 4,
    kvHeads: 4,
    causal: true,
    reach: 12,
    blockBytes: 2500,
  },
  {
    of: 'a bias by distance that is shorter than a block, in both directions',
    rows: [[{ own: 19 }, { own: 11 }], [{ own: 30 }]],
    tokens: 32,
    heads: 4,
    kvHeads: 4,
    reach: 3,
    blockBytes: 6000,
  },
  {
    of: 'a bias by distance after keys before every sequence',
    rows: [[{ own: 19 }, { own: 11 }], [{ own: 30 }]],
    tokens: 32,
    heads: 4,
    kvHeads: 4,
    causal: true,
    prefix: 4,
    reach: 40,
    blockBytes: 2500,
  },
  {
    of: 'a bias of each row',
    rows: [[{ own: 10 }, { own: 11 }], [{ own: 12 }]],
    tokens: 21,
    heads: 4,
    kvHeads: 2,
    causal: true,
    bias: 'row',
    blockBytes: 1000,
  },
  {
    of: 'a bias of all rows',
    rows: [[{ own: 10 }, { own: 11 }], [{ own: 12 }]],
    tokens: 21,
    heads: 4,
    kvHeads: 2,
    bias: 'all',
    blockBytes: 1000,
  },
];

interface Token {
  segment: number;
  position: number;
  parent: number;
}

function tokensOf(rows: Segment[][], tokens: number, prefix: number): Token[][] {
  return rows.map((segments) => {
    const listed = segments.flatMap(({ own, parent }, s): Token[] => {
      const start = prefix + (parent === undefined ? 0 : segments[parent - 1]!.own);
      return Array.from({ length: own }, (_, i) => ({
        segment: s + 1,
        position: start + i,
        parent: parent ?? -1,
      }));
    });
    const padding = { segment: 0, position: 0, parent: -1 };
    return [...listed, ...Array<Token>(tokens - listed.length).fill(padding)];
  });
}

const ints = (values: number[]) => tf.tensor1d(values, 'int32');

/** The positions and the mask of a case, as both implementations receive them. */
function laidOut(one: Case) {
  const { rows, tokens, memory, causal = false, window = null, prefix = 0 } = one;
  const own = tokensOf(rows, tokens, prefix);
  const keys = memory ? tokensOf(memory.rows, memory.tokens, 0) : own;
  const sees = (query: Token, key: Token) => {
    const ago = query.position - key.position;
    const same = query.segment === key.segment || query.parent === key.segment;
    return same && (!causal || (ago >= 0 && (window === null || ago < window)));
  };
  const seesPrefix = (query: Token, j: number) => window === null || query.position - j < window;
  const seen = own.map((queries, r) =>
    queries.map((query) => [
      ...Array.from({ length: prefix }, (_, j) => seesPrefix(query, j)),
      ...keys[r]!.map((key) => sees(query, key)),
    ]),
  );
  const flat = (name: keyof Token, of = own) => ints(of.flat().map((token) => token[name]));
  const shares = own.flat().some(({ parent }) => parent > 0);
  const mask = (): Mask =>
    causal
      ? packedCausalMask(
          {
            segments: flat('segment'),
            positions: flat('position'),
            ...(shares ? { parents: flat('parent') } : {}),
          },
          rows.length,
          { window, prefix },
        )
      : packedMask(flat('segment'), flat('segment', keys), rows.length, { prefix });
  const inside = own.flat().map(({ segment }) => (segment > 0 ? 1 : 0));
  return { seen, mask, inside, keys: prefix + keys[0]!.length };
}

/** The mask as a term of the scores, `(rows, 1, n, T)`. */
const additive = (seen: boolean[][][]) =>
  tf.expandDims(tf.tensor3d(seen.map((rows) => rows.map((row) => row.map((sees) => (sees ? 0 : -1e9))))), 1);

/** q `(B, heads, n, D)`, k and v `(B, kvHeads, T, D)`. */
function plainly(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, mask: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
  const [rows, kvHeads, keys, width] = k.shape as [number, number, number, number];
  const heads = q.shape[1]!;
  const repeated = (x: tf.Tensor) =>
    tf.reshape(tf.mul(tf.expandDims(x, 2), tf.ones([1, 1, heads / kvHeads, 1, 1])), [
      rows,
      heads,
      keys,
      width,
    ]);
  const scores = tf.matMul(q, repeated(k), false, true);
  const all = bias ? tf.add(scores, bias) : scores;
  return tf.matMul(tf.softmax(tf.add(all, mask), -1), repeated(v));
}

for (const one of cases) {
  test(`attention in blocks: ${one.of}`, async () => {
    const { rows, tokens, heads, kvHeads, reach, bias, blockBytes, prefix = 0 } = one;
    const { seen, mask, inside, keys } = laidOut(one);
    const shape = { rows: rows.length, kvHeads, group: heads / kvHeads, queries: tokens, keys };
    const limits = { visibleKeys: mask().visibleKeys, skewed: reach !== undefined };
    const plan = planBlocks(shape, blockBytes, limits)!;
    const blocks = plan.rows.length * plan.chunks.reduce((sum, { heads }) => sum + heads.length, 0);
    assert.ok(blocks > 2, `${blocks} blocks`);
    const given: Given[] = [
      floats([rows.length, heads, tokens, D]),
      floats([rows.length, kvHeads, keys, D]),
      floats([rows.length, kvHeads, keys, D]),
      ...(reach !== undefined && prefix > 0 ? [floats([rows.length, heads, tokens, prefix])] : []),
      ...(reach === undefined ? [] : [floats([2 * reach + 1, heads])]),
      ...(bias ? [floats([bias === 'row' ? rows.length : 1, heads, tokens, keys])] : []),
    ];
    const biasOf = (others: tf.Tensor[]): ScoreBias | undefined => {
      const relative = reach === undefined ? undefined : others.at(-1);
      return scoreBias(others.length > (relative ? 1 : 0) ? others[0] : undefined, relative, tokens);
    };
    // Outputs at positions of no segment are undefined and do not count.
    const counted = (y: tf.Tensor) => tf.mul(y, tf.tensor(inside, [rows.length, 1, tokens, 1]));
    const inBlocks: Layer = ([q, k, v, ...others]) =>
      counted(
        withComputation({ scoreBytes: blockBytes }, () =>
          attention(q!, k!, v!, mask(), { bias: biasOf(others) }),
        ),
      );
    const reference: Layer = ([q, k, v, ...others]) => {
      const [relative] = reach === undefined ? [] : others.splice(-1);
      const own = relative && plainBias(relative, tokens);
      const first = others[0];
      const firstBias = first && own ? tf.mul(own, tf.ones([rows.length, 1, 1, 1])) : own;
      const whole = first && firstBias ? tf.concat([first, firstBias], 3) : (first ?? firstBias);
      return counted(plainly(q!, k!, v!, additive(seen), whole));
    };
    const expected = await run(reference, given, 'stock', 'fp32');
    const results = await run(inBlocks, given, 'stock', 'fp32');
    const names = ['output', 'q', 'k', 'v', 'first bias', 'second bias'];
    for (const [i, result] of results.entries()) {
      const off = distance(result, expected[i]!);
      assert.ok(off <= 1e-6, `${names[i]} is off by ${off}`);
    }
  });
}

const values = (shape: number[], seed: number) => tf.randomUniform(shape, -1, 1, 'float32', seed);
const packed = ({ window = null, keep }: PackedCausalOptions = {}) =>
  packedCausalMask(
    {
      segments: ints(Array.from({ length: 14 }, (_, i) => (i < 6 ? 1 : 2))),
      positions: ints(Array.from({ length: 14 }, (_, i) => (i < 6 ? i : i - 6))),
    },
    1,
    { window, ...(keep ? { keep } : {}) },
  );

test('attention in blocks: what is dropped going forward is dropped going back', () => {
  const random = () => ({ seed: tf.tensor1d([3, 5], 'int32'), stream: 0 });
  const dropped = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, bias: tf.Tensor) => {
    const dropout = { probability: 0.4, random: random() };
    return withComputation({ scoreBytes: 300 }, () =>
      attention(q, k, v, packed({ window: 5 }), { bias, dropout }),
    );
  };
  const given = [values([1, 4, 14, 3], 1), values([1, 2, 14, 3], 2), values([1, 2, 14, 3], 3)] as const;
  checkGradients(dropped, [...given, values([1, 4, 14, 14], 4)]);
});

test('attention in blocks: each block draws its own dropout mask, of about the given share', () => {
  const [q, k] = [tf.zeros([1, 2, 14, 3]), tf.zeros([1, 2, 14, 3])];
  const random = { seed: tf.tensor1d([3, 5], 'int32'), stream: 0 };
  const mask = packedMask(ints(Array(14).fill(1)), ints(Array(14).fill(1)), 1);
  const dropout = { probability: 0.25, random };
  // With a value of 14 for all 14 keys, each output is the number of keys kept, divided by 3/4.
  const y = withComputation({ scoreBytes: 400 }, () =>
    attention(q, k, tf.fill([1, 2, 14, 3], 14), mask, { dropout }),
  );
  const left = Array.from(tf.mul(y, 0.75).dataSync(), Math.round).filter((_, i) => i % 3 === 0);
  assert.ok(Math.abs(left.reduce((a, b) => a + b) / left.length / 14 - 0.75) < 0.05, `${left}`);
  assert.ok(random.stream > 2);
  assert.notDeepEqual(left.slice(0, 14), left.slice(14));
});

test('attention in blocks is not computed again by a checkpointed block, only its probabilities', async () => {
  const shapes = { q: [1, 2, 14, 3], k: [1, 2, 14, 3], v: [1, 2, 14, 3] } as const;
  const spec = (shape: readonly number[]) => ({ shape: [...shape], dtype: 'float32' }) as const;
  const inputs = { q: spec(shapes.q), k: spec(shapes.k), v: spec(shapes.v) };
  const feeds = { q: values([...shapes.q], 1), k: values([...shapes.k], 2), v: values([...shapes.v], 3) };
  const results: Float32Array[][] = [];
  const recorded = await recordFunctions(async () => {
    for (const again of [false, true]) {
      const builder = new ProgramBuilder();
      const f = builder.function('f', inputs, ({ q, k, v }) => {
        const mask = packed({ keep: tf.keep });
        const run = (q: tf.Tensor, ...others: tf.Tensor[]) =>
          tf.tanh(attention(tf.sin(q), others[0]!, others[1]!, mask));
        const y = () => tf.sum(again ? checkpointed(run, q, [k, v], 'block') : run(q, k, v));
        const { value, grads } = withComputation({ scoreBytes: 400 }, () =>
          tf.engine().gradients(y, [q, k, v]),
        );
        return { value, dq: grads[0]!, dk: grads[1]!, dv: grads[2]! };
      });
      const program = builder.build();
      const fed = Object.fromEntries(Object.entries(feeds).map(([name, x]) => [name, x.dataSync()]));
      const found = program.run(f, fed as Record<keyof typeof feeds, Float32Array>);
      results.push(Object.values(found).map(({ data }) => Float32Array.from(data as Float32Array)));
      program.close();
    }
  });
  assert.deepEqual(results[1], results[0]);
  const [plain, checkpointing] = recorded.map(
    ({ nodes }) => nodes.filter(({ op }) => op === 'Softmax').length,
  );
  assert.ok(plain! > 4);
  assert.equal(checkpointing, plain);
});

/** The bias `(1, heads, n, n)`: the table's row for each distance. */
function plainBias(relative: tf.Tensor, tokens: number): tf.Tensor {
  const [rows, heads] = relative.shape as [number, number];
  const reach = (rows - 1) / 2;
  const row = (i: number) => Math.max(-reach, Math.min(reach, (i % tokens) - Math.floor(i / tokens))) + reach;
  const index = ints(Array.from({ length: tokens ** 2 }, (_, i) => row(i)));
  const onehot = tf.cast(
    tf.equal(tf.expandDims(index, 1), tf.expandDims(tf.range(0, rows, 1, 'int32'), 0)),
    'float32',
  );
  return tf.transpose(tf.reshape(tf.matMul(onehot, relative), [1, tokens, tokens, heads]), [0, 3, 1, 2]);
}
