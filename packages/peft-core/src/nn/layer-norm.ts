import { customGradient, tf, withControlDependency } from '@graft/tf-graph';
import { recomputable } from './recompute.ts';

/**
 * LayerNorm over the last axis: `(x − mean) / √(variance + ε) · w + b`. x `(…, H)`, w and b `(H)`. Keeps x and two numbers a
 * row for the backward pass and recomputes the rest. Source: Ba et al. 2016, arXiv:1607.06450.
 */
export function layerNorm(x: tf.Tensor, w: tf.Tensor, b: tf.Tensor, epsilon: number): tf.Tensor {
  const normalise = (x: tf.Tensor, mean: tf.Tensor, inverse: tf.Tensor) => tf.mul(tf.sub(x, mean), inverse);
  const whole = (x: tf.Tensor, mean: tf.Tensor, inverse: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
    tf.add(tf.mul(normalise(x, mean, inverse), w), b);
  // (…, 1) each. Computed outside the custom gradient, because a layer that recomputes the result needs them too.
  const width = x.shape.at(-1)!;
  const mean = tf.mul(tf.sum(x, -1, true), 1 / width);
  const variance = tf.mul(tf.sum(tf.square(tf.sub(x, mean)), -1, true), 1 / width);
  const inverse = tf.rsqrt(tf.add(variance, epsilon));
  const y = customGradient({
    inputs: { x, w, b },
    keep: { x, mean, inverse, w },
    value: () => whole(x, mean, inverse, w, b),
    gradient(dy, { x, mean, inverse, w }) {
      const normed = normalise(withControlDependency(x, dy), mean, inverse); // (…, H)
      const dNormed = tf.mul(dy, w); // (…, H)
      const average = (t: tf.Tensor) => tf.mul(tf.sum(t, -1, true), 1 / width); // (…, 1)
      const projection = tf.mul(normed, average(tf.mul(dNormed, normed)));
      const dx = tf.mul(tf.sub(tf.sub(dNormed, average(dNormed)), projection), inverse);
      const leading = dy.shape.slice(1).map((_, axis) => axis);
      return { x: dx, w: tf.sum(tf.mul(dy, normed), leading), b: tf.sum(dy, leading) };
    },
  });
  return recomputable(y, [x, mean, inverse, w, b], whole);
}
