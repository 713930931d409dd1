import { tf, withControlDependency } from '@graft/tf-graph';
import { recomputable } from './recompute.ts';

/** `silu(gate) · up`, elementwise: the middle of a gated feed-forward network. Keeps its two inputs, recomputes the sigmoid. */
export function siluProduct(gate: tf.Tensor, up: tf.Tensor): tf.Tensor {
  const product = (gate: tf.Tensor, up: tf.Tensor) => tf.mul(tf.mul(gate, tf.sigmoid(gate)), up);
  const value = tf.customGrad((a, b, save) => {
    const [gate, up] = [a as tf.Tensor, b as tf.Tensor];
    (save as tf.GradSaveFunc)([gate, up]);
    return {
      value: product(gate, up),
      gradFunc: (dy, [saved, up]) => {
        const gate = withControlDependency(saved!, dy as tf.Tensor);
        const s = tf.sigmoid(gate);
        const silu = tf.mul(gate, s);
        // d silu/d gate = s + silu · (1 − s)
        const slope = tf.add(s, tf.mul(silu, tf.sub(1, s)));
        return [tf.mul(tf.mul(dy as tf.Tensor, up!), slope), tf.mul(dy as tf.Tensor, silu)];
      },
    };
  })(gate, up);
  return recomputable(value, [gate, up], product as (...inputs: tf.Tensor[]) => tf.Tensor);
}
