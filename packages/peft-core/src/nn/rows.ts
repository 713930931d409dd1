import { attr, rawOp, tf } from '@graft/tf-graph';

/**
 * Rows `(K, H)` of x `(N, H)` at `index` `(K)` int32; the gradient adds each row back to where it came from, but for row
 * `padding`, which gets none.
 */
export function takeRows(x: tf.Tensor, index: tf.Tensor, padding: number | null = null): tf.Tensor {
  const shape = x.shape;
  return tf.customGrad((x, save) => {
    (save as tf.GradSaveFunc)([index]);
    return {
      value: tf.gather(x as tf.Tensor, index as tf.Tensor1D),
      gradFunc: (dy, [index]) => {
        const kept = padding === null ? null : tf.cast(tf.notEqual(index!, padding), 'float32');
        return addRows(
          kept ? tf.mul(dy as tf.Tensor, tf.expandDims(kept, -1)) : (dy as tf.Tensor),
          index!,
          shape,
        );
      },
    };
  })(x);
}

/** Zeros of `shape` `(N, H)` with the rows of `values` `(K, H)` added at `index` `(K)`. */
function addRows(values: tf.Tensor, index: tf.Tensor, shape: number[]): tf.Tensor {
  const attrs = [attr.type('T', 'float32'), attr.type('Tindices', 'int32')];
  const at = tf.reshape(index, [index.shape[0]!, 1]);
  return rawOp('ScatterNd', attrs, [at, values, tf.tensor1d(shape, 'int32')])[0]!;
}
