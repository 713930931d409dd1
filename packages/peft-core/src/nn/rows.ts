import { customGradient, rawOp, tf } from '@graft/tf-graph';
import { exactly, usesKernels } from './computation.ts';

/**
 * Rows `(K, H)` of x `(N, H)` at `index` `(K)` int32. The gradient adds each row's gradient at its index, except row `padding`, which
 * gets none.
 */
export function takeRows(x: tf.Tensor, index: tf.Tensor, padding: number | null = null): tf.Tensor {
  return customGradient({
    inputs: { x },
    keep: { index, x },
    value: () => tf.gather(x, index),
    gradient(dy, { index, x }) {
      if (padding === null) return { x: addRows(dy, index, x) };
      // In float32, exact below 2²⁴ rows, because TensorFlow compares integers on the host even when a GPU is present.
      const isCounted = tf.notEqual(tf.cast(index, 'float32'), padding);
      const counted = tf.expandDims(tf.cast(isCounted, 'float32'), -1); // (K, 1)
      return { x: addRows(tf.mul(dy, counted), index, x) };
    },
  });
}

/**
 * Adds the rows of `values` `(K, H)` at `index` `(K)` to zeros in the shape of `like` `(N, H)`. Uses a segment sum: when operations must be
 * deterministic, a GPU sorts its inputs first, whereas ScatterNd would run on the host.
 */
function addRows(values: tf.Tensor, index: tf.Tensor, like: tf.Tensor): tf.Tensor {
  if (usesKernels()) return rawOp('GraftScatterRows', [], [exactly(values), index, exactly(like)])[0]!;
  return rawOp('UnsortedSegmentSum', [], [exactly(values), index, tf.scalar(like.shape[0]!, 'int32')])[0]!;
}
