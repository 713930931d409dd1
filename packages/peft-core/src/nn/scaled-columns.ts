import { customGradient, rawOp, tf, withControlDependency } from '@graft/tf-graph';
import { exactly, flowing, flowType, usesKernels } from './computation.ts';

/** x `(N, W)` with column i multiplied by factor i of `(W)`. Keeps both for the backward pass. */
export function scaledColumns(x: tf.Tensor, factors: tf.Tensor): tf.Tensor {
  if (!usesKernels()) return flowing(tf.mul(x, factors));
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
  if (!usesKernels() && flowType() === 'float32') return tf.add(x, bias);
  const flows = flowing(x);
  const sum = () =>
    usesKernels() ? rawOp('GraftBiasAdd', [], [flows, bias])[0]! : flowing(tf.add(flows, bias));
  return customGradient({
    inputs: { flows, bias },
    keep: {},
    value: sum,
    gradient: (dy) => ({ flows: dy, bias: isTrained ? tf.sum(exactly(dy), 0) : null }),
  });
}
