import { hang, tf } from '@graft/tf-graph';

/**
 * RMSNorm: `x · w / √(mean(x²) + ε)` over the last axis. x `(N, H)`, w `(H)`. Keeps x alone for the backward pass and
 * recomputes the rest. Source: Zhang and Sennrich 2019, arXiv:1910.07467.
 */
export function rmsNorm(x: tf.Tensor, weight: tf.Tensor, epsilon: number): tf.Tensor {
  const width = x.shape.at(-1)!;
  const inverseRms = (x: tf.Tensor) =>
    tf.rsqrt(tf.add(tf.mul(tf.sum(tf.square(x), -1, true), 1 / width), epsilon));
  return tf.customGrad((x, w, save) => {
    (save as tf.GradSaveFunc)([x as tf.Tensor, w as tf.Tensor]);
    return {
      value: tf.mul(tf.mul(x as tf.Tensor, inverseRms(x as tf.Tensor)), w as tf.Tensor),
      gradFunc: (dy, [saved, w]) => {
        const x = hang(saved!, dy as tf.Tensor);
        const r = inverseRms(x);
        const normed = tf.mul(x, r);
        const dNormed = tf.mul(dy as tf.Tensor, w!);
        const projection = tf.mul(tf.sum(tf.mul(dNormed, normed), -1, true), 1 / width);
        const dx = tf.mul(tf.sub(dNormed, tf.mul(normed, projection)), r);
        return [dx, tf.sum(tf.mul(dy as tf.Tensor, normed), 0)];
      },
    };
  })(x, weight);
}
