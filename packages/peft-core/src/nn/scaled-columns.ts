import { customGradient, rawOp, tf, withControlDependency } from '@graft/tf-graph';
import { exactly, flowing, usesKernels } from './computation.ts';

/** x `(N, W)` with column i multiplied by factor i, of `(W)`. Keeps both for the backward pass. */
export function scaledColumns(x: tf.Tensor, factors: tf.Tensor): tf.Tensor {
  if (!usesKernels()) return tf.mul(x, factors);
  const inputs = { x: flowing(x), factors };
  return customGradient({
    inputs,
    keep: inputs,
    value: () => rawOp('GraftScaleColumns', [], [inputs.x, factors])[0]!,
    gradient(dy, kept) {
      const x = withControlDependency(kept.x, dy);
      const gradients = rawOp('GraftScaleColumnsGradient', [], [flowing(dy), x, kept.factors]);
      const [dx, dFactors] = gradients as [tf.Tensor, tf.Tensor];
      return { x: dx, factors: dFactors };
    },
  });
}

/** x `(N, W)` with a bias `(W)` added to each row. Without `isTrained` the bias gets no gradient. */
export function withBias(x: tf.Tensor, bias: tf.Tensor, isTrained = true): tf.Tensor {
  if (!usesKernels()) return tf.add(x, bias);
  const flows = flowing(x);
  return customGradient({
    inputs: { flows, bias },
    keep: {},
    value: () => rawOp('GraftBiasAdd', [], [flows, bias])[0]!,
    gradient: (dy) => ({ flows: dy, bias: isTrained ? tf.sum(exactly(dy), 0) : null }),
  });
}
