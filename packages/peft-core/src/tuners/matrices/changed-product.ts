import { cast, customGradient, nestedGrads, type tf, withControlDependency } from '@graft/tf-graph';
import { flowingMatmul, matmul } from '../../nn/matmul.ts';
import { originOf, restore } from '../../nn/recompute.ts';
import { type Weight, weightValue } from '../../nn/weight.ts';

/**
 * `x (N, in) · W'ᵀ → (N, out)` with `W' = change(W, ...factors)`, stored as W is: `(out, in)`, or `(in, out)` when `transposed`. W gets no
 * gradient. Keeps x and the factors: the backward pass reads W and computes W' again, so that both are short-lived.
 */
export function changedProduct(
  x: tf.Tensor,
  weight: Weight,
  factors: tf.Tensor[],
  change: (w: tf.Tensor, ...factors: tf.Tensor[]) => tf.Tensor,
  transposed = false,
): tf.Tensor {
  const origin = originOf(x);
  const read = (after: tf.Tensor) => cast(weightValue(weight, after), 'float32');
  // Without the dependency those of all modules would be computed at the start.
  const late = (factors: readonly tf.Tensor[], after: tf.Tensor) =>
    factors.map((factor) => withControlDependency(factor, after));
  return customGradient({
    inputs: { x, factors },
    keep: { factors, origin: origin.inputs },
    value: () => flowingMatmul(x, change(read(x), ...late(factors, x)), false, !transposed),
    gradient(dy, kept) {
      const dx = flowingMatmul(dy, change(read(dy), ...late(kept.factors, dy)), false, transposed);
      const x = restore(origin, kept.origin, dx);
      const dw = transposed ? matmul(x, dy, true) : matmul(dy, x, true);
      const w = read(dw);
      const dFactors = nestedGrads((...factors) => change(w, ...factors))(late(kept.factors, dw), dw);
      return { x: dx, factors: dFactors };
    },
  });
}
