import { tf, withControlDependency } from '@graft/tf-graph';
import { recomputable } from './recompute.ts';

/**
 * RMSNorm: `x · w / √(mean(x²) + ε)` over the last axis. x `(…, H)`, w `(H)`. Keeps x and each row's factor for the backward
 * pass and recomputes the rest. Source: Zhang and Sennrich 2019, arXiv:1910.07467.
 */
export function rmsNorm(x: tf.Tensor, weight: tf.Tensor, epsilon: number): tf.Tensor {
  const width = x.shape.at(-1)!;
  const scale = (x: tf.Tensor, inverseRms: tf.Tensor, w: tf.Tensor) => tf.mul(tf.mul(x, inverseRms), w);
  // (…, 1), computed outside the custom gradient: whoever restores the result needs it as well.
  const inverseRms = tf.rsqrt(tf.add(tf.mul(tf.sum(tf.square(x), -1, true), 1 / width), epsilon));
  const normed = tf.customGrad((input, weight, save) => {
    const [x, w] = [input as tf.Tensor, weight as tf.Tensor];
    (save as tf.GradSaveFunc)([x, inverseRms, w]);
    return {
      value: scale(x, inverseRms, w),
      gradFunc: (dy, [saved, r, w]) => {
        const normed = tf.mul(withControlDependency(saved!, dy as tf.Tensor), r!);
        const dNormed = tf.mul(dy as tf.Tensor, w!);
        const projection = tf.mul(tf.sum(tf.mul(dNormed, normed), -1, true), 1 / width);
        const dx = tf.mul(tf.sub(dNormed, tf.mul(normed, projection)), r!);
        const leading = (dy as tf.Tensor).shape.slice(1).map((_, axis) => axis);
        return [dx, tf.sum(tf.mul(dy as tf.Tensor, normed), leading)];
      },
    };
  })(x, weight);
  return recomputable(normed, [x, inverseRms, weight], scale as (...inputs: tf.Tensor[]) => tf.Tensor);
}
