import { customGradient, tf, withControlDependency } from '@graft/tf-graph';
import { recomputable } from './recompute.ts';

/** `silu(gate) · up`, elementwise: the middle of a gated feed-forward network. Keeps its two inputs, recomputes the sigmoid. */
export function siluProduct(gate: tf.Tensor, up: tf.Tensor): tf.Tensor {
  const product = (gate: tf.Tensor, up: tf.Tensor) => tf.mul(tf.mul(gate, tf.sigmoid(gate)), up);
  const y = customGradient({
    inputs: { gate, up },
    keep: { gate, up },
    value: () => product(gate, up),
    gradient(dy, kept) {
      const gate = withControlDependency(kept.gate, dy);
      const s = tf.sigmoid(gate);
      const silu = tf.mul(gate, s);
      // d silu/d gate = s + silu · (1 − s)
      const slope = tf.add(s, tf.mul(silu, tf.sub(1, s)));
      return { gate: tf.mul(tf.mul(dy, kept.up), slope), up: tf.mul(dy, silu) };
    },
  });
  return recomputable(y, [gate, up], product);
}
