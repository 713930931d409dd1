/** Compares attention over the GPU cache with nn/attention on the keys and values themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgramBuilder, tf } from '@graft/tf-graph';
import { attention } from '../../nn/attention/attention.ts';
import { byHead, RotaryTables, sideBySide } from '../../nn/attention/heads.ts';
import { cachedMask } from '../../nn/attention/masks.ts';
import { rotationOf } from '../../nn/attention/rotary.ts';
import { withComputation } from '../../nn/computation.ts';
import { Random } from '../../random.ts';
import { BLOCK } from '../block-pool.ts';
import { rowsOf } from '../step.ts';
import { cardAttention, MAX_BYTES } from './card-attention.ts';
import { clear, declareCardCaches } from './card-cache.ts';

const [heads, kvHeads, headSize, stride] = [6, 2, 8, 3];
/** Numbers of cached positions; blocks are in arbitrary order. */
const before = [0, 21, 14];
const blocks = [
  [9, 0],
  [4, 7],
  [6, 3],
];
const sequences = before.length;
const window = 32;
const random = new Random(11, 'test');
const floats = (...shape: number[]) => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * random.uniform() - 1),
});
const wide = { q: heads * headSize, k: kvHeads * headSize, v: kvHeads * headSize };

for (const { name, most, reach, rotated, biased, sunk = false } of [
  { name: 'all at once', most: MAX_BYTES, reach: null, rotated: true, biased: false },
  { name: 'one after the other', most: { keys: 1, scores: 1 }, reach: null, rotated: true, biased: false },
  {
    name: 'two at a time, in a window',
    most: { keys: 9000, scores: 1e6 },
    reach: 9,
    rotated: true,
    biased: false,
  },
  {
    name: 'one after the other, with a bias',
    most: { keys: 1, scores: 1 },
    reach: null,
    rotated: false,
    biased: true,
  },
  {
    name: 'two at a time, in a window, with sinks',
    most: { keys: 9000, scores: 1e6 },
    reach: 9,
    rotated: true,
    biased: false,
    sunk: true,
  },
])
  test(`${name}: parts of ${stride} positions after ${before.join(', ')}`, async () => {
    const past = before.map((count) => ({ k: floats(count, wide.k), v: floats(count, wide.v) }));
    const fresh = before.map(() => ({
      q: floats(stride, wide.q),
      k: floats(stride, wide.k),
      v: floats(stride, wide.v),
    }));
    const bias = floats(sequences, heads, stride, window);
    const at = before.flatMap((count) => Array.from({ length: stride }, (_, i) => count + i));
    const sinks = () => (sunk ? { sinks: tf.tensor1d([-1, 2, 0, 0.5, 1, -7]) } : {});
    const siteOf = (positions: tf.Tensor) => ({
      layer: 0,
      window: reach,
      heads,
      kvHeads,
      headSize,
      scale: 0.3,
      ...(rotated ? { rotation: rotationOf(positions, [1, 0.3, 0.1, 0.03]) } : {}),
    });

    const builder = new ProgramBuilder();
    const shape = { layers: 1, kvHeads, headSize } as const;
    const caches = declareCardCaches(builder, shape, 12, 'float32');
    const empty = builder.function('empty', {}, () => {
      for (const variable of [caches.get(0)!.keys, caches.get(0)!.values]) clear(variable);
      return {};
    });
    /** Attention for `tokens` more positions of each sequence after those in the cache. */
    const attendOn = (tokens: number, from: number) =>
      builder.function(
        `attend_${tokens}_${from}`,
        {
          q: { shape: [tokens, wide.q], dtype: 'float32' },
          k: { shape: [tokens, wide.k], dtype: 'float32' },
          v: { shape: [tokens, wide.v], dtype: 'float32' },
          positions: { shape: [tokens], dtype: 'int32' },
          places: { shape: [tokens], dtype: 'int32' },
          bias: { shape: bias.shape, dtype: 'float32' },
          blocks: { shape: [tokens === stride * sequences ? sequences : 1, window / BLOCK], dtype: 'int32' },
          lengths: { shape: [tokens === stride * sequences ? sequences : 1], dtype: 'int32' },
        } as const,
        ({ q, k, v, positions, places, blocks, lengths, bias }) =>
          withComputation({ implementation: 'stock' }, () => {
            const grid = { sequences: blocks.shape[0]!, positions, places, blocks, lengths, memory: null };
            const attend = cardAttention(caches, grid, most);
            const given = biased && blocks.shape[0] === sequences ? { bias } : {};
            return { y: attend({ ...siteOf(positions), ...given, ...sinks() }, [q, k, v]) };
          }),
      );
    const together = attendOn(stride * sequences, 0);
    const earlier = before.map((count, i) => (count > 0 ? attendOn(count, i + 1) : null));
    const program = builder.build();
    program.run(empty, {});
    for (const [i, fn] of earlier.entries()) {
      const count = before[i]!;
      if (!fn) continue;
      program.run(fn, {
        q: floats(count, wide.q).data,
        k: past[i]!.k.data,
        v: past[i]!.v.data,
        bias: bias.data,
        positions: Int32Array.from({ length: count }, (_, n) => n),
        places: Int32Array.from(rowsOf(blocks[i]!, count)),
        blocks: Int32Array.from(blocks[i]!),
        lengths: Int32Array.of(count),
      });
    }
    const joined = (part: 'q' | 'k' | 'v') =>
      Float32Array.from(fresh.flatMap((each) => [...each[part].data]));
    const { y } = program.run(together, {
      q: joined('q'),
      k: joined('k'),
      v: joined('v'),
      bias: bias.data,
      positions: Int32Array.from(at),
      places: Int32Array.from(before.flatMap((count, i) => rowsOf(blocks[i]!, stride, count))),
      blocks: Int32Array.from(blocks.flat()),
      lengths: Int32Array.from(before, (count) => count + stride),
    });
    program.close();

    for (const [i, count] of before.entries()) {
      const expected = tf.tidy(() => {
        const all = count + stride;
        const whole = (part: 'k' | 'v') =>
          tf.tensor([...past[i]![part].data, ...fresh[i]![part].data], [all, wide[part]]);
        const every = siteOf(tf.range(0, all, 1, 'int32'));
        const own = siteOf(tf.range(count, all, 1, 'int32'));
        const turn = (x: tf.Tensor, site: typeof own, scale: number) =>
          new RotaryTables().turned(x, site, 1, scale);
        const q = turn(tf.tensor(fresh[i]!.q.data, [stride, wide.q]), own, 0.3);
        const mask = cachedMask(tf.range(count, all, 1, 'int32'), 1, all, reach);
        const ownBias = tf.slice(tf.tensor(bias.data, bias.shape), [i, 0, 0, 0], [1, heads, stride, all]);
        const values = byHead(whole('v'), 1, headSize);
        const options = biased ? { bias: ownBias } : sinks();
        const mixed = attention(q, turn(whole('k'), every, 1), values, mask, options);
        return sideBySide(mixed).dataSync();
      });
      const found = y.data.slice(i * stride * wide.q, (i + 1) * stride * wide.q);
      const off = Math.max(...expected.map((x, n) => Math.abs(x - found[n]!)));
      assert.ok(off < 1e-6, `sequence ${i} is off by ${off}`);
    }
  });
