import { type tf, withControlDependency } from '@graft/tf-graph';

/** How to compute a tensor again from others that are kept for the backward pass anyway. */
export interface Origin {
  inputs: tf.Tensor[];
  compute(...inputs: tf.Tensor[]): tf.Tensor;
}

const origins = new WeakMap<tf.Tensor, Origin>();

/** Notes where `value` came from, so that a layer which needs it for its gradient keeps `inputs` instead. `compute` must be cheap. */
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

/** x again from what was kept, no earlier than `after`. */
export function restore(origin: Origin, kept: readonly tf.Tensor[], after: tf.Tensor): tf.Tensor {
  return origin.compute(...kept.map((input) => withControlDependency(input, after)));
}
