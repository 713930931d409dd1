import { customGradient, rawOp, tf } from '@graft/tf-graph';
import { exactly, usesKernels } from './computation.ts';

/**
 * Rows `(K, H)` of x `(N, H)` at `index` `(K)` int32; the gradient adds each row back to where it came from, but for row
 * `padding`, which gets none.
 */
export function takeRows(x: tf.Tensor, index: tf.Tensor, padding: number | null = null): tf.Tensor {
  return customGradient({
    inputs: { x },
    keep: { index, x },
    value: () => tf.gather(x, index),
    gradient(dy, { index, x }) {
      if (padding === null) return { x: addRows(dy, index, x) };
      // As float32, exact for fewer rows than 2²⁴: integers are compared on the host by a GPU's kernels.
      const isCounted = tf.notEqual(tf.cast(index, 'float32'), padding);
      const counted = tf.expandDims(tf.cast(isCounted, 'float32'), -1); // (K, 1)
      return { x: addRows(tf.mul(dy, counted), index, x) };
    },
  });
}

/**
 * Zeros as `like` `(N, H)`, of which only the shape is read, with the rows of `values` `(K, H)` added at `index` `(K)`. By sums of
 * segments, which a GPU sorts first where ops have to be deterministic, while ScatterNd would then run on the host.
 */
function addRows(values: tf.Tensor, index: tf.Tensor, like: tf.Tensor): tf.Tensor {
  if (usesKernels()) return rawOp('GraftScatterRows', [], [exactly(values), index, exactly(like)])[0]!;
  return rawOp('UnsortedSegmentSum', [], [exactly(values), index, tf.scalar(like.shape[0]!, 'int32')])[0]!;
}
