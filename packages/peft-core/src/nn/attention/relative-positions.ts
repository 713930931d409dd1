import { tf } from '@graft/tf-graph';

/** Buckets of relative positions. */
export interface RelativeBuckets {
  count: number;
  /** The distance from which on all are in the last bucket. */
  maxDistance: number;
  /** Half of the buckets are for later keys; otherwise these count as the query's own position. */
  bidirectional: boolean;
}

/**
 * The bucket `(n · keys)` int32 of each of the keys at the positions 0… for queries at `positions` `(n)` int32. Near distances
 * have a bucket each, far ones share them by their logarithm.
 * Source: Raffel et al. 2020, arXiv:1910.10683, whose bucketing transformers has as `_relative_position_bucket`.
 */
export function relativeBuckets(
  { count, maxDistance, bidirectional }: RelativeBuckets,
  positions: tf.Tensor,
  keys: number,
): tf.Tensor {
  const perSide = bidirectional ? count / 2 : count;
  const table = tf.tensor1d(bucketsByDistance(perSide, maxDistance), 'int32');
  const n = positions.shape[0]!;
  const key = tf.reshape(tf.range(0, keys, 1, 'int32'), [1, keys]);
  const later = tf.reshape(tf.sub(key, tf.reshape(positions, [n, 1])), [n * keys]);
  const limit = tf.scalar(maxDistance, 'int32');
  const zero = tf.scalar(0, 'int32');
  const distance = bidirectional ? tf.abs(later) : tf.maximum(tf.neg(later), zero);
  const bucket = tf.gather(table, tf.minimum(distance, limit));
  if (!bidirectional) return bucket;
  const side = tf.cast(tf.greater(later, zero), 'int32');
  return tf.add(bucket, tf.mul(side, tf.scalar(perSide, 'int32')));
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
