import { customGradient, tf, withControlDependency } from '@graft/tf-graph';
import { recomputable } from './recompute.ts';

/**
 * RMSNorm: `x · w / √(mean(x²) + ε)` over the last axis. x `(…, H)`, w `(H)`. Keeps x and each row's factor for the backward
 * pass and recomputes the rest. Source: Zhang and Sennrich 2019, arXiv:1910.07467.
 */
export function rmsNorm(x: tf.Tensor, w: tf.Tensor, epsilon: number): tf.Tensor {
  const width = x.shape.at(-1)!;
  const scale = (x: tf.Tensor, inverseRms: tf.Tensor, w: tf.Tensor) => tf.mul(tf.mul(x, inverseRms), w);
  // (…, 1). Computed outside the custom gradient, because a layer that recomputes the result needs it too.
  const inverseRms = tf.rsqrt(tf.add(tf.mul(tf.sum(tf.square(x), -1, true), 1 / width), epsilon));
  const y = customGradient({
    inputs: { x, w },
    keep: { x, inverseRms, w },
    value: () => scale(x, inverseRms, w),
    gradient(dy, { x, inverseRms, w }) {
      const normed = tf.mul(withControlDependency(x, dy), inverseRms); // (…, H)
      const dNormed = tf.mul(dy, w); // (…, H)
      const projection = tf.mul(tf.sum(tf.mul(dNormed, normed), -1, true), 1 / width); // (…, 1)
      const leading = dy.shape.slice(1).map((_, axis) => axis);
      return {
        x: tf.mul(tf.sub(dNormed, tf.mul(normed, projection)), inverseRms),
        w: tf.sum(tf.mul(dy, normed), leading),
      };
    },
  });
  return recomputable(y, [x, inverseRms, w], scale);
}
