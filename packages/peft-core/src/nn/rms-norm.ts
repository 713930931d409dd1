import { attr, cast, customGradient, rawOp, storageOf, tf, withControlDependency } from '@graft/tf-graph';
import { exactly, flowing, flowType, usesKernels } from './computation.ts';
import { recomputable } from './recompute.ts';

/**
 * RMSNorm: `x · w / √(mean(x²) + ε)` over the last axis. x `(…, H)`, w `(H)`. Keeps x and each row's factor for the backward
 * pass and recomputes the rest. A frozen w gets no gradient. Source: Zhang and Sennrich 2019, arXiv:1910.07467.
 */
export function rmsNorm(x: tf.Tensor, w: tf.Tensor, epsilon: number, isTrained = true): tf.Tensor {
  return usesKernels() ? byKernel(x, w, epsilon, isTrained) : byStockOps(x, w, epsilon, isTrained);
}

function byStockOps(x: tf.Tensor, w: tf.Tensor, epsilon: number, isTrained: boolean): tf.Tensor {
  const width = x.shape.at(-1)!;
  const stored = storageOf(x);
  const scale = (x: tf.Tensor, inverseRms: tf.Tensor, w: tf.Tensor) =>
    flowing(tf.mul(tf.mul(x, inverseRms), w));
  // (…, 1). Computed outside the custom gradient, because a layer that recomputes the result needs it too.
  const squares = tf.sum(tf.square(x), -1, true);
  const inverseRms = tf.rsqrt(tf.add(tf.mul(squares, 1 / width), epsilon));
  const y = customGradient({
    inputs: { x, w },
    keep: { x, inverseRms, w },
    value: () => scale(x, inverseRms, w),
    gradient(dy, { x, inverseRms, w }) {
      const exact = exactly(dy);
      const normed = tf.mul(withControlDependency(x, dy), inverseRms); // (…, H)
      const dNormed = tf.mul(exact, w); // (…, H)
      const projection = tf.mul(tf.sum(tf.mul(dNormed, normed), -1, true), 1 / width); // (…, 1)
      return {
        x: cast(tf.mul(tf.sub(dNormed, tf.mul(normed, projection)), inverseRms), stored),
        w: isTrained ? weightGradient(exact, normed) : null,
      };
    },
  });
  return recomputable(y, [x, inverseRms, w], scale);
}

const weightGradient = (dy: tf.Tensor, normed: tf.Tensor): tf.Tensor =>
  tf.sum(
    tf.mul(dy, normed),
    dy.shape.slice(1).map((_, axis) => axis),
  );

/** Flattens the leading axes to rows `(N, H)` for the kernel. */
function byKernel(x: tf.Tensor, w: tf.Tensor, epsilon: number, isTrained: boolean): tf.Tensor {
  const { shape } = x;
  const width = shape.at(-1)!;
  const rows = exactly(tf.reshape(x, [-1, width]));
  const norm = (x: tf.Tensor, w: tf.Tensor) =>
    rawOp('GraftRmsNorm', [attr.float('epsilon', epsilon), attr.type('T', flowType())], [x, w]) as [
      tf.Tensor,
      tf.Tensor,
    ];
  const [normed, inverse] = norm(rows, w); // (N, H), (N)
  const y = customGradient({
    inputs: { rows, w },
    keep: { rows, inverse, w },
    value: () => normed,
    gradient(dy, { rows, inverse, w }) {
      const x = withControlDependency(rows, dy);
      return {
        rows: rawOp('GraftRmsNormGradient', [], [flowing(dy), x, w, inverse])[0]!,
        w: isTrained ? weightGradient(dy, tf.mul(x, tf.expandDims(inverse, -1))) : null,
      };
    },
  });
  recomputable(y, [rows, w], (x, w) => norm(x, w)[0]);
  if (shape.length === 2) return y;
  return tf.reshape(y, shape);
}
