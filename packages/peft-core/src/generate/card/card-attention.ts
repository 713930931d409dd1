import { cast, tf, withControlDependency } from '@graft/tf-graph';
import type { AttentionSite } from '../../models/architecture.ts';
import { queriesKeysValues } from '../../nn/attention/heads.ts';
import { MASKED } from '../../nn/attention/masks.ts';
import { type RotaryTable, type Rotation, rotaryTable, rotate } from '../../nn/attention/rotary.ts';
import { softmaxWithSinks } from '../../nn/attention/sinks.ts';
import { matmul } from '../../nn/matmul.ts';
import type { RuntimeOptions } from '../../peft-model/peft-model.ts';
import { BLOCK } from '../block-pool.ts';
import { type CardCaches, type CardLayer, rowsOfBlocks, rowsOfPlaces, withinLengths } from './card-cache.ts';

/** Maximum bytes computed at a time: keys that are read (and as much for values), and scores. */
export const MAX_BYTES = { keys: 256 << 20, scores: 128 << 20 };

/** Positions to read: blocks `(S, T / BLOCK)` int32, of which the first `lengths` `(S)` int32 positions are valid. */
export interface ReadBlocks {
  blocks: tf.Tensor;
  lengths: tf.Tensor;
}

/** A grid of sequences × n new positions, and the blocks of each sequence. */
export interface CardGrid extends ReadBlocks {
  sequences: number;
  /** `(S · n)` int32. */
  positions: tf.Tensor;
  /** `(S · n)` int32: the cache positions that the new positions are written to. */
  places: tf.Tensor;
  /** Memory of an encoder-decoder's decoder. */
  memory: ReadBlocks | null;
}

/** Attention over the GPU cache; computes parts of the sequences one after the other if all together would exceed `most`. */
export function cardAttention(
  caches: CardCaches,
  grid: CardGrid,
  most = MAX_BYTES,
): RuntimeOptions['attend'] {
  const { sequences, positions, places, memory } = grid;
  const rowsByHeads = new Map<number, ReturnType<typeof rowsFor>>();
  /** The cache rows of layers with this number of key heads: those to write, those to read, and an encoder's. */
  function rowsFor(kvHeads: number) {
    return {
      written: rowsOfPlaces(places, kvHeads),
      own: rowsOfBlocks(grid.blocks, grid.lengths, kvHeads),
      encoded: memory && rowsOfBlocks(memory.blocks, memory.lengths, kvHeads),
    };
  }
  const rowsOf = (kvHeads: number) => {
    const rows = rowsByHeads.get(kvHeads) ?? rowsFor(kvHeads);
    rowsByHeads.set(kvHeads, rows);
    return rows;
  };
  const tokensOf = ({ blocks }: ReadBlocks) => blocks.shape[1]! * BLOCK;
  const encodedMask = memory && lengthsMask(memory.lengths, tokensOf(memory));
  const masks = new Map<number | null, tf.Tensor>();
  const maskFor = (window: number | null): tf.Tensor => {
    const mask = masks.get(window) ?? causalMask(positions, sequences, tokensOf(grid), window);
    masks.set(window, mask);
    return mask;
  };
  const tables = new Map<Rotation['cosines'], Map<number, RotaryTable>>();
  const tableOf = (rotation: Rotation, scale: number): RotaryTable => {
    const known = tables.get(rotation.cosines) ?? new Map<number, RotaryTable>();
    tables.set(rotation.cosines, known);
    const table = known.get(scale) ?? rotaryTable(rotation, scale);
    known.set(scale, table);
    return table;
  };
  /** x `(N, count · D)` scaled and, with a rotation, rotated, `(N, count, D)`. */
  const turned = (x: tf.Tensor, { headSize, rotation }: AttentionSite, scale: number): tf.Tensor => {
    const [rows, width] = x.shape as [number, number];
    const heads = tf.reshape(x, [rows, width / headSize, headSize]);
    if (rotation) return rotate(heads, tableOf(rotation, scale));
    return scale === 1 ? heads : tf.mul(heads, scale);
  };
  return (site, projections) => {
    const { kind, layer, keysFrom, window = null, kvHeads, headSize } = site;
    const cache = caches.get(keysFrom ?? layer)!;
    const { written, own, encoded } = rowsOf(kvHeads);
    const { q, k, v } = queriesKeysValues(projections, site);
    const queries = turned(q, site, site.scale);
    if (kind === 'cross')
      return attendInParts(cache, site, grid, { queries, rows: encoded!, mask: encodedMask!, most });
    // The layer that the keys and values come from has written them.
    if (keysFrom === undefined) {
      cache.keys.assignRows(written, tf.reshape(turned(k, site, 1), [-1, headSize]));
      cache.values.assignRows(written, tf.reshape(v, [-1, headSize]));
    }
    return attendInParts(cache, site, grid, { queries, rows: own, mask: maskFor(window), most });
  };
}

/** Attention `(S · n, heads · D)` of queries `(S · n, heads, D)` over cache rows `(S, kvHeads, T)`; mask `(S, 1, n or 1, T)`. */
function attendInParts(
  cache: CardLayer,
  { heads, kvHeads, headSize, bias, sinks }: AttentionSite,
  { sequences }: CardGrid,
  {
    queries,
    rows,
    mask,
    most,
  }: { queries: tf.Tensor; rows: tf.Tensor; mask: tf.Tensor; most: typeof MAX_BYTES },
): tf.Tensor {
  const n = queries.shape[0]! / sequences;
  const tokens = rows.shape[2]!;
  /** Swaps heads and positions; with one position the layouts are equal. */
  const swapped = (x: tf.Tensor, shape: number[]) =>
    n === 1 ? x : tf.transpose(tf.reshape(x, [-1, ...shape, headSize]), [0, 2, 1, 3]);
  const q = tf.reshape(swapped(queries, [n, heads]), [sequences, heads, n, headSize]);
  const keys = kvHeads * tokens * headSize * (cache.keys.dtype === 'float32' ? 4 : 2);
  const scores = 4 * heads * n * tokens;
  const atOnce = Math.max(1, Math.floor(Math.min(most.keys / keys, most.scores / scores)));
  const parts: tf.Tensor[] = [];
  for (let from = 0; from < sequences; from += atOnce) {
    const count = Math.min(atOnce, sequences - from);
    const cut = (x: tf.Tensor): tf.Tensor => {
      if (count === sequences || x.shape[0] === 1) return x;
      return tf.slice(x, [from, ...x.shape.slice(1).map(() => 0)], [count, ...x.shape.slice(1)]);
    };
    // Ensures that a part's keys are read only after the part before is finished.
    const at = withControlDependency(cut(rows), ...parts.slice(-1));
    const k = cache.keys.gather(at, { stored: true, partlyWritten: true }); // (s, kvHeads, T, D)
    const v = cache.values.gather(at, { stored: true, partlyWritten: true });
    const grouped = tf.reshape(cut(q), [count, kvHeads, (heads / kvHeads) * n, headSize]);
    const scores = tf.reshape(matmul(grouped, k, false, true), [count, heads, n, tokens]);
    const biased = bias ? tf.add(scores, cut(bias)) : scores;
    const shares = sinks && tf.reshape(sinks, [1, heads, 1, 1]);
    const { keys: probabilities } = softmaxWithSinks(tf.add(biased, cut(mask)), shares);
    const mixed = matmul(tf.reshape(probabilities, [count, kvHeads, (heads / kvHeads) * n, tokens]), v);
    parts.push(mixed);
  }
  const all = parts.length === 1 ? parts[0]! : tf.concat(parts, 0);
  return tf.reshape(swapped(all, [heads, n]), [sequences * n, heads * headSize]);
}

/** Additive mask `(S, 1, n, T)` over keys at positions 0…T − 1 for queries at `positions` `(S · n)` int32; compared as float32. */
function causalMask(
  positions: tf.Tensor,
  sequences: number,
  tokens: number,
  window: number | null,
): tf.Tensor {
  const queries = tf.reshape(cast(positions, 'float32'), [sequences, 1, -1, 1]);
  const ago = tf.sub(queries, tf.range(0, tokens, 1, 'float32'));
  const notLater = tf.greaterEqual(ago, 0);
  return additive(window === null ? notLater : tf.logicalAnd(notLater, tf.less(ago, window)));
}

/** Additive mask `(S, 1, 1, T)`. */
function lengthsMask(lengths: tf.Tensor, tokens: number): tf.Tensor {
  return additive(tf.reshape(withinLengths(lengths, tokens), [-1, 1, 1, tokens]));
}

const additive = (allowed: tf.Tensor): tf.Tensor => tf.mul(tf.sub(cast(allowed, 'float32'), 1), -MASKED);
