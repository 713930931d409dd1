import { tf } from '@graft/tf-graph';
import type { Range } from '../../block-sizes/range.ts';

/** The buckets of relative positions (Raffel et al. 2020, arXiv:1910.10683). */
export interface RelativeBuckets {
  count: number;
  /** From this distance on, all distances share the last bucket. */
  maxDistance: number;
  /** Half of the buckets are for later keys; otherwise later keys have the bucket of distance 0. */
  bidirectional: boolean;
}

/**
 * The bucket of each distance between a key and its query, from `maxDistance` earlier to `maxDistance` later,
 * `(2 · maxDistance + 1)` int32. Short distances have a bucket each; longer ones share buckets on a logarithmic scale.
 * Source: Raffel et al. 2020, arXiv:1910.10683; transformers' `_relative_position_bucket`.
 */
export function bucketsOfDistances({ count, maxDistance, bidirectional }: RelativeBuckets): tf.Tensor1D {
  const perSide = bidirectional ? count / 2 : count;
  const near = bucketsByDistance(perSide, maxDistance);
  const bucket = (later: number) =>
    bidirectional ? near[Math.abs(later)]! + (later > 0 ? perSide : 0) : near[Math.max(-later, 0)]!;
  const all = Int32Array.from({ length: 2 * maxDistance + 1 }, (_, i) => bucket(i - maxDistance));
  return tf.tensor1d(all, 'int32');
}

/**
 * The row `(n · keys)` int32 in a table by distance `(2 · reach + 1)` for each pair of a query at `positions` `(n)` int32 and a key at
 * 0…keys − 1. The first and last rows apply to all longer distances. Computed in float32, which is exact here, because TensorFlow
 * computes int32 on the CPU even when a GPU is present.
 */
export function rowsByDistance(reach: number, positions: tf.Tensor, keys: number): tf.Tensor {
  const n = positions.shape[0]!;
  const key = tf.reshape(tf.range(0, keys, 1, 'float32'), [1, keys]);
  const later = tf.reshape(tf.sub(key, tf.reshape(tf.cast(positions, 'float32'), [n, 1])), [n * keys]);
  return tf.cast(tf.add(tf.maximum(tf.minimum(later, reach), -reach), reach), 'int32');
}

/** The bias `(1, heads, T, T)` of keys and queries at the positions 0…T − 1, from a table by distance `(2 · reach + 1, heads)`. */
export function relativeBias(byDistance: tf.Tensor, tokens: number): tf.Tensor {
  const whole = { from: 0, to: tokens };
  return tf.expandDims(relativeBlock(byDistance, whole, whole), 0);
}

/** The bias `(heads, n, m)` of a range of queries and a range of keys. */
export function relativeBlock(byDistance: tf.Tensor, queries: Range, keys: Range): tf.Tensor {
  const [n, m] = [queries.to - queries.from, keys.to - keys.from];
  const heads = byDistance.shape[1]!;
  const width = n + m;
  // The distances of the last query, from the first key on. Each earlier query starts one entry later.
  const distances = fromDistance(tf.transpose(byDistance), keys.from - (queries.to - 1), width);
  // One line of `width` for each query, read as lines that are one shorter, shifts each query's line by one more.
  const lines = tf.mul(tf.expandDims(distances, 1), tf.ones([1, n, 1]));
  const shifted = tf.slice(tf.reshape(lines, [heads, n * width]), [0, n - 1], [heads, n * (width - 1)]);
  return tf.slice(tf.reshape(shifted, [heads, n, width - 1]), [0, 0, 0], [heads, n, m]);
}

/** Returns `count` distances, `(heads, count)`, starting with `first`, from a table `(heads, 2 · reach + 1)`. */
function fromDistance(table: tf.Tensor, first: number, count: number): tf.Tensor {
  const [heads, rows] = table.shape as [number, number];
  const start = first + (rows - 1) / 2;
  const earlier = Math.min(count, Math.max(0, -start));
  const later = Math.min(count, Math.max(0, start + count - rows));
  const between = count - earlier - later;
  const repeated = (row: number, times: number) =>
    times === 0 ? [] : [tf.mul(tf.slice(table, [0, row], [heads, 1]), tf.ones([1, times]))];
  const known = between === 0 ? [] : [tf.slice(table, [0, start + earlier], [heads, between])];
  return tf.concat([...repeated(0, earlier), ...known, ...repeated(rows - 1, later)], 1);
}

/** The bucket of each distance from 0 to `maxDistance`, with PyTorch's float32 steps: at a bucket's bounds the rounding decides. */
function bucketsByDistance(buckets: number, maxDistance: number): Int32Array {
  const exact = Math.floor(buckets / 2);
  const f = Math.fround;
  const whole = f(Math.log(maxDistance / exact));
  return Int32Array.from({ length: maxDistance + 1 }, (_, distance) => {
    if (distance < exact) return distance;
    const share = f(f(Math.log(f(distance / exact))) / whole);
    return Math.min(exact + Math.trunc(f(share * (buckets - exact))), buckets - 1);
  });
}
