import type { tf } from '@graft/tf-graph';

/**
 * A weight as a layer sees it. A frozen one is read from the session where it is used, so that an unpacked copy lives only as
 * long as its use; a trained one is a tensor on the gradient tape.
 */
export type Weight =
  | {
      kind: 'frozen';
      shape: number[];
      /** The value, float32 or as it is stored in bfloat16, read no earlier than `after`. */
      read(...after: tf.Tensor[]): tf.Tensor;
      /** Rows `(N, …)` for ids `(N)` int32, in float32, without unpacking the rest. */
      gather(ids: tf.Tensor): tf.Tensor;
    }
  | { kind: 'trained'; tensor: tf.Tensor };

/** The weight's value, read no earlier than `after`. */
export function weightValue(weight: Weight, ...after: tf.Tensor[]): tf.Tensor {
  return weight.kind === 'trained' ? weight.tensor : weight.read(...after);
}

/** The weight's shape, as it is stored. */
export function weightShape(weight: Weight): number[] {
  return weight.kind === 'trained' ? weight.tensor.shape : weight.shape;
}
