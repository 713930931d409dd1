import { tf } from '@graft/tf-graph';
import { takeRows } from '../rows.ts';

/** Buckets of relative positions. */
export interface RelativeBuckets {
  count: number;
  /** The distance from which on all are in the last bucket. */
  maxDistance: number;
  /** Half of the buckets are for later keys; otherwise these count as the query's own position. */
  bidirectional: boolean;
}

/**
 * The bucket of each distance of a key from its query, from `maxDistance` earlier to as much later, `(2 · maxDistance + 1)` int32.
 * Near distances have a bucket each, far ones share them by their logarithm.
 * Source: Raffel et al. 2020, arXiv:1910.10683, whose bucketing transformers has as `_relative_position_bucket`.
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
 * The row `(n · keys)` int32 that each of the keys at the positions 0… has, for queries at `positions` `(n)` int32, in a table by
 * distance `(2 · reach + 1)`: the ends hold for all that are further.
 */
export function rowsByDistance(reach: number, positions: tf.Tensor, keys: number): tf.Tensor {
  const n = positions.shape[0]!;
  const key = tf.reshape(tf.range(0, keys, 1, 'int32'), [1, keys]);
  const later = tf.reshape(tf.sub(key, tf.reshape(positions, [n, 1])), [n * keys]);
  const bound = (limit: number) => tf.scalar(limit, 'int32');
  return tf.add(tf.maximum(tf.minimum(later, bound(reach)), bound(-reach)), bound(reach));
}

/** The bias `(1, heads, T, T)` of keys and queries that lie at the positions 0…, from a table by distance `(2 · reach + 1, heads)`. */
export function relativeBias(byDistance: tf.Tensor, tokens: number): tf.Tensor {
  const [distances, heads] = byDistance.shape as [number, number];
  const rows = rowsByDistance((distances - 1) / 2, tf.range(0, tokens, 1, 'int32'), tokens);
  return tf.transpose(tf.reshape(takeRows(byDistance, rows), [1, tokens, tokens, heads]), [0, 3, 1, 2]);
}

/** Bucket of each distance from 0 to `maxDistance`, in PyTorch's float32 steps: at the bounds of buckets rounding decides. */
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
