import { attr, rawOp, tf } from '@graft/tf-graph';

/** Rows `(K, H)` of x `(N, H)` at `index` `(K)` int32; the gradient adds each row back to where it came from. */
export function takeRows(x: tf.Tensor, index: tf.Tensor): tf.Tensor {
  const shape = x.shape;
  return tf.customGrad((x, save) => {
    (save as tf.GradSaveFunc)([index]);
    return {
      value: tf.gather(x as tf.Tensor, index as tf.Tensor1D),
      gradFunc: (dy, [index]) => addRows(dy as tf.Tensor, index!, shape),
    };
  })(x);
}

/** Zeros of `shape` `(N, H)` with the rows of `values` `(K, H)` added at `index` `(K)`. */
function addRows(values: tf.Tensor, index: tf.Tensor, shape: number[]): tf.Tensor {
  const attrs = [attr.type('T', 'float32'), attr.type('Tindices', 'int32')];
  const at = tf.reshape(index, [index.shape[0]!, 1]);
  return rawOp('ScatterNd', attrs, [at, values, tf.tensor1d(shape, 'int32')])[0]!;
}
