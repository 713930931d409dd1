import { attr, tf, type Variable } from '@graft/tf-graph';
import { attention } from '../nn/attention/attention.ts';
import { byHead, queriesKeysValues, RotaryTables, sideBySide } from '../nn/attention/heads.ts';
import { cachedMask, lengthsMask, type Mask } from '../nn/attention/masks.ts';
import type { RuntimeOptions } from '../peft-model/peft-model.ts';
import { BLOCK } from './block-pool.ts';

/**
 * The cache of each layer with own keys and values `(blocks · BLOCK, 2 · kvHeads · D)`: a position's keys after rotation, then its values. An encoder-decoder's
 * memory is in the same blocks.
 */
export type LayerCaches = ReadonlyMap<number, Variable>;

/**
 * Attention for a list of positions with Graft's kernel. spans `(S, 3)` int32: start and end of each sequence's new positions in the
 * list, and its number of cached positions; blocks `(S, B)` int32: the blocks of its positions.
 */
export function listAttention(
  caches: LayerCaches,
  spans: tf.Tensor,
  blocks: tf.Tensor,
): RuntimeOptions['attend'] {
  const [none, noSinks] = [tf.zeros([0, 0]), tf.zeros([0])];
  return (site, projections) => {
    const { heads, kvHeads, headSize, scale, window, layer, keysFrom } = site;
    const { q, k, v } = queriesKeysValues(projections, site);
    const { cosines, sines } = site.rotation ?? { cosines: none, sines: none };
    const attributes = [
      attr.int('heads', heads),
      attr.int('kv_heads', kvHeads),
      attr.int('head_size', headSize),
      attr.float('scale', scale),
      attr.int('window', window ?? 0),
      attr.int('block', BLOCK),
    ];
    // Keys and values of another layer are written there once more, with the same values.
    return caches
      .get(keysFrom ?? layer)!
      .inPlace('GraftCachedAttention', attributes, [
        ...[q, k, v, cosines, sines, spans, blocks],
        site.sinks ?? noSinks,
      ])[0]!;
  };
}

/** A grid of sequences × new positions, with the cache rows that hold each sequence's positions, in order; zeros after the last. */
export interface CacheGrid {
  sequences: number;
  /** `(S · n)` int32. */
  positions: tf.Tensor;
  /** `(S · n)` int32: the cache rows that the new positions are written to. */
  rows: tf.Tensor;
  /** `(S, T)` int32. */
  tables: tf.Tensor;
  /** An encoder-decoder's memory: cache rows `(S, M)`, and the number of valid ones `(S)`. */
  memory: { tables: tf.Tensor; lengths: tf.Tensor } | null;
}

/** The same with TensorFlow's own operations and equally many positions per sequence; also supports a bias and a memory. */
export function gridAttention(caches: LayerCaches, grid: CacheGrid): RuntimeOptions['attend'] {
  const { sequences, positions, rows, tables, memory } = grid;
  const masks = new Map<number | null, Mask>();
  const maskFor = (window: number | null): Mask => {
    const mask = masks.get(window) ?? cachedMask(positions, sequences, tables.shape[1]!, window);
    masks.set(window, mask);
    return mask;
  };
  const memoryMask = memory && lengthsMask(memory.lengths, memory.tables.shape[1]!);
  const rotary = new RotaryTables();
  return (site, projections) => {
    const { kind, layer, keysFrom, window = null, bias, sinks, headSize } = site;
    const cache = caches.get(keysFrom ?? layer)!;
    const read = (tables: tf.Tensor): [tf.Tensor, tf.Tensor] => {
      const both = tf.reshape(cache.gather(tables), [tables.size, -1]);
      const [keys, values] = tf.split(both, 2, 1) as [tf.Tensor, tf.Tensor];
      return [byHead(keys, sequences, headSize), byHead(values, sequences, headSize)];
    };
    if (kind === 'cross') {
      const { q } = queriesKeysValues(projections, site);
      const scaled = rotary.turned(q, site, sequences, site.scale);
      return sideBySide(attention(scaled, ...read(memory!.tables), memoryMask!, { bias }));
    }
    const { q, k, v } = rotary.byHead(projections, site, sequences);
    // The layer that the keys and values come from has written them.
    if (keysFrom === undefined) cache.assignRows(rows, tf.concat([sideBySide(k), sideBySide(v)], 1));
    return sideBySide(attention(q, ...read(tables), maskFor(window), { bias, sinks }));
  };
}
