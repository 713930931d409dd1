import { type tf, withControlDependency } from '@graft/tf-graph';

/** How to compute a tensor again from others that are kept for the backward pass anyway. */
export interface Origin {
  inputs: tf.Tensor[];
  compute(...inputs: tf.Tensor[]): tf.Tensor;
}

const origins = new WeakMap<tf.Tensor, Origin>();

/**
 * Says how to compute `value` from `inputs`. A layer that needs the value in the backward pass then keeps the inputs instead.
 * `compute` must be cheap.
 */
export function recomputable<I extends tf.Tensor[]>(
  value: tf.Tensor,
  inputs: [...I],
  compute: (...inputs: I) => tf.Tensor,
): tf.Tensor {
  origins.set(value, { inputs, compute });
  return value;
}

/** What to keep for `x`: its origin's inputs, or x itself. */
export function originOf(x: tf.Tensor): Origin {
  return origins.get(x) ?? { inputs: [x], compute: (kept) => kept! };
}

/** x computed from what was kept, not before `after`. */
export function restore(origin: Origin, kept: readonly tf.Tensor[], after: tf.Tensor): tf.Tensor {
  return origin.compute(...kept.map((input) => withControlDependency(input, after)));
}
