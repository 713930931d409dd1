import { attr, cast, customGradient, rawOp, tf } from '@graft/tf-graph';
import { exactly } from './computation.ts';

/** PyTorch's parameters of one direction of one layer, with the four gates i, f, g, o stacked along the first axis. */
export interface LstmWeights {
  /** `(4H, in)` */
  input: tf.Tensor;
  /** `(4H, H)` */
  hidden: tf.Tensor;
  /** `(4H)` each */
  inputBias: tf.Tensor;
  hiddenBias: tf.Tensor;
}

/**
 * A forward LSTM: x `(n, in)` → `(n, H)`, from zero states.
 * Source: Hochreiter and Schmidhuber 1997; torch.nn.LSTM's equations.
 */
export function lstm(x: tf.Tensor, weights: LstmWeights): tf.Tensor {
  const [steps, width] = x.shape as [number, number];
  const H = weights.hidden.shape[1]!;
  const weight = tf.transpose(tf.concat([weights.input, weights.hidden], 1)); // (in + H, 4H)
  const bias = tf.add(weights.inputBias, weights.hiddenBias);
  const states = blockLstm(tf.reshape(x, [steps, 1, width]), weight, bias);
  return tf.reshape(states, [steps, H]);
}

/** A bidirectional LSTM: x `(n, in)` → `(n, 2H)`. */
export function bidirectionalLstm(x: tf.Tensor, forwards: LstmWeights, backwards: LstmWeights): tf.Tensor {
  const last = x.shape[0]! - 1;
  const order = tf.tensor1d(
    Int32Array.from({ length: last + 1 }, (_, i) => last - i),
    'int32',
  );
  const reversed = (t: tf.Tensor) => tf.gather(t, order);
  return tf.concat([lstm(x, forwards), reversed(lstm(reversed(x), backwards))], 1);
}

/** TensorFlow's fused kernel for all steps, with the gates in PyTorch's order. x `(n, 1, in)`, w `(in + H, 4H)`, b `(4H)`. */
function blockLstm(x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const noPeepholes = attr.bool('use_peephole', false);
  /** The kernel's inputs: the number of steps, x, two states, the weights, three peepholes and the biases. */
  const inputsOf = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) => {
    const H = b.shape[0]! / 4;
    const peephole = tf.zeros([H]);
    const start = tf.zeros([1, H]);
    const steps = cast(tf.scalar(x.shape[0]!, 'int32'), 'int64');
    return [steps, x, start, start, w, peephole, peephole, peephole, b];
  };
  // (n, 1, H) each: input gate, cell, forget gate, output gate, cell input, cell output, hidden.
  const states = rawOp('BlockLSTMV2', [attr.float('cell_clip', 0), noPeepholes], inputsOf(x, w, b));
  return customGradient({
    inputs: { x, w, b },
    keep: { x, w, b, states },
    value: () => states[6]!,
    gradient(dy, { x, w, b, states }) {
      const inputs = [...inputsOf(x, w, b), ...states, tf.zerosLike(states[1]!), exactly(dy)];
      const gradients = rawOp('BlockLSTMGradV2', [noPeepholes], inputs);
      return { x: gradients[0]!, w: gradients[3]!, b: gradients[7]! };
    },
  });
}
