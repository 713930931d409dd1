import { attr, customGradient, rawOp, tf } from '@graft/tf-graph';
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
      const counted = tf.expandDims(tf.cast(tf.notEqual(index, padding), 'float32'), -1); // (K, 1)
      return { x: addRows(tf.mul(dy, counted), index, x) };
    },
  });
}

/** Zeros as `like` `(N, H)`, of which only the shape is read, with the rows of `values` `(K, H)` added at `index` `(K)`. */
function addRows(values: tf.Tensor, index: tf.Tensor, like: tf.Tensor): tf.Tensor {
  if (usesKernels()) return rawOp('GraftScatterRows', [], [exactly(values), index, exactly(like)])[0]!;
  const { shape } = like;
  const attrs = [attr.type('T', 'float32'), attr.type('Tindices', 'int32')];
  const at = tf.reshape(index, [index.shape[0]!, 1]);
  return rawOp('ScatterNd', attrs, [at, values, tf.tensor1d(shape, 'int32')])[0]!;
}
