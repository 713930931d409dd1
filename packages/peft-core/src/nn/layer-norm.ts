import { attr, cast, customGradient, rawOp, storageOf, tf, withControlDependency } from '@graft/tf-graph';
import { exactly, flowing, flowType, usesKernels } from './computation.ts';
import { recomputable } from './recompute.ts';

export interface LayerNormOptions {
  /** The result is the residual stream, as in post-norm models: it stays float32 even where tensors between products are bfloat16. */
  isStream?: boolean;
  /** w and b get no gradients unless they are trained. */
  isTrained?: boolean;
}

/**
 * LayerNorm over the last axis: `(x − mean) / √(variance + ε) · w + b`. x `(…, H)`, w and b `(H)`. Keeps x and two numbers per
 * row for the backward pass and recomputes the rest. Source: Ba et al. 2016, arXiv:1607.06450.
 */
export function layerNorm(
  x: tf.Tensor,
  w: tf.Tensor,
  b: tf.Tensor,
  epsilon: number,
  { isStream = false, isTrained = true }: LayerNormOptions = {},
): tf.Tensor {
  return usesKernels()
    ? byKernel(x, w, b, epsilon, { isStream, isTrained })
    : byStockOps(x, w, b, epsilon, { isStream, isTrained });
}

function byStockOps(
  x: tf.Tensor,
  w: tf.Tensor,
  b: tf.Tensor,
  epsilon: number,
  { isStream, isTrained }: Required<LayerNormOptions>,
): tf.Tensor {
  const [given, stored] = [storageOf(x), isStream ? exactly : flowing];
  const whole = (x: tf.Tensor, mean: tf.Tensor, inverse: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
    stored(tf.add(tf.mul(normalised(x, mean, inverse), w), b));
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
      const exact = exactly(dy);
      const normed = normalised(withControlDependency(x, dy), mean, inverse); // (…, H)
      const dNormed = tf.mul(exact, w); // (…, H)
      const average = (t: tf.Tensor) => tf.mul(tf.sum(t, -1, true), 1 / width); // (…, 1)
      const projection = tf.mul(normed, average(tf.mul(dNormed, normed)));
      const dx = tf.mul(tf.sub(tf.sub(dNormed, average(dNormed)), projection), inverse);
      return { x: cast(dx, given), ...weightGradients(exact, normed, isTrained) };
    },
  });
  return recomputable(y, [x, mean, inverse, w, b], whole);
}

const normalised = (x: tf.Tensor, mean: tf.Tensor, inverse: tf.Tensor) => tf.mul(tf.sub(x, mean), inverse);

function weightGradients(dy: tf.Tensor, normed: tf.Tensor, isTrained: boolean) {
  if (!isTrained) return { w: null, b: null };
  const leading = dy.shape.slice(1).map((_, axis) => axis);
  return { w: tf.sum(tf.mul(dy, normed), leading), b: tf.sum(dy, leading) };
}

/** Flattens the leading axes to rows `(N, H)` for the kernel. */
function byKernel(
  x: tf.Tensor,
  w: tf.Tensor,
  b: tf.Tensor,
  epsilon: number,
  { isStream, isTrained }: Required<LayerNormOptions>,
): tf.Tensor {
  const { shape } = x;
  const rows = exactly(tf.reshape(x, [-1, shape.at(-1)!]));
  const stored = isStream ? exactly : flowing;
  const attributes = [attr.float('epsilon', epsilon), attr.type('T', isStream ? 'float32' : flowType())];
  const norm = (...inputs: tf.Tensor[]) =>
    rawOp('GraftLayerNorm', attributes, inputs) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const [normed, mean, inverse] = norm(rows, w, b); // (N, H), (N), (N)
  const y = customGradient({
    inputs: { rows, w, b },
    keep: { rows, mean, inverse, w },
    value: () => normed,
    gradient(dy, { rows, mean, inverse, w }) {
      const x = withControlDependency(rows, dy);
      const column = (t: tf.Tensor) => tf.expandDims(t, -1);
      return {
        rows: rawOp('GraftLayerNormGradient', [], [stored(dy), x, w, mean, inverse])[0]!,
        ...weightGradients(dy, isTrained ? normalised(x, column(mean), column(inverse)) : x, isTrained),
      };
    },
  });
  recomputable(y, [rows, w, b], (...inputs) => norm(...inputs)[0]);
  return shape.length === 2 ? y : tf.reshape(y, shape);
}
