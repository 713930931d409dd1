import { tf } from '@graft/tf-graph';
import { exactly, flowing } from './computation.ts';

/** `cap · tanh(z / cap)` of logits z `(K, V)`; z itself without a cap. */
export function cappedLogits(logits: tf.Tensor, cap: number | undefined): tf.Tensor {
  if (cap === undefined) return logits;
  return flowing(tf.mul(tf.tanh(tf.mul(exactly(logits), 1 / cap)), cap));
}

/** The gradient of logits before the cap, by that of the capped ones y, both `(K, V)`. */
export function capGradient(dCapped: tf.Tensor, y: tf.Tensor, cap: number | undefined): tf.Tensor {
  if (cap === undefined) return dCapped;
  const slope = tf.sub(1, tf.square(tf.mul(exactly(y), 1 / cap)));
  return flowing(tf.mul(exactly(dCapped), slope));
}
