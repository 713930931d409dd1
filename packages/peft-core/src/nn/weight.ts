import type { tf, Variable } from '@graft/tf-graph';

/**
 * A weight as a layer sees it. A frozen one is read from the session where it is used, so that an unpacked copy lives only as
 * long as its use; a trained one is a tensor on the gradient tape.
 */
export type Weight = { kind: 'frozen'; variable: Variable } | { kind: 'trained'; tensor: tf.Tensor };

/** The weight's value as it is stored (float32 or bfloat16), read no earlier than `after`. */
export function weightValue(weight: Weight, ...after: tf.Tensor[]): tf.Tensor {
  return weight.kind === 'trained' ? weight.tensor : weight.variable.read({ after, stored: true });
}
