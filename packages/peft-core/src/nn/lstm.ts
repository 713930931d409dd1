import { attr, cast, rawOp, tf } from '@graft/tf-graph';

/** PyTorch's parameters of one direction of one layer; the four gates i, f, g, o below each other. */
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
 * A long short-term memory read forwards: x `(n, in)` → `(n, H)`, from zero states.
 * Source: Hochreiter and Schmidhuber 1997; torch.nn.LSTM's equations.
 */
export function lstm(x: tf.Tensor, weights: LstmWeights): tf.Tensor {
  const [steps, width] = x.shape as [number, number];
  const H = weights.hidden.shape[1]!;
  const joined = tf.transpose(tf.concat([weights.input, weights.hidden], 1)); // (in + H, 4H)
  const bias = tf.add(weights.inputBias, weights.hiddenBias);
  const states = blockLstm(tf.reshape(x, [steps, 1, width]), joined, bias);
  return tf.reshape(states, [steps, H]);
}

/** Read forwards and backwards: x `(n, in)` → `(n, 2H)`. */
export function bidirectionalLstm(x: tf.Tensor, forwards: LstmWeights, backwards: LstmWeights): tf.Tensor {
  const last = x.shape[0]! - 1;
  const order = tf.tensor1d(
    Int32Array.from({ length: last + 1 }, (_, i) => last - i),
    'int32',
  );
  const reversed = (t: tf.Tensor) => tf.gather(t, order);
  return tf.concat([lstm(x, forwards), reversed(lstm(reversed(x), backwards))], 1);
}

/** TensorFlow's fused kernel over all steps, whose gates stand in PyTorch's order. x `(n, 1, in)`, w `(in + H, 4H)`, b `(4H)`. */
function blockLstm(x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const H = b.shape[0]! / 4;
  const noPeepholes = attr.bool('use_peephole', false);
  const fixed = () => {
    const peephole = tf.zeros([H]);
    return {
      steps: cast(tf.scalar(x.shape[0]!, 'int32'), 'int64'),
      start: tf.zeros([1, H]),
      peepholes: [peephole, peephole, peephole],
    };
  };
  return tf.customGrad((x, w, b, save) => {
    const inputs = [x, w, b] as tf.Tensor[];
    const { steps, start, peepholes } = fixed();
    const states = rawOp(
      'BlockLSTMV2',
      [attr.float('cell_clip', 0), noPeepholes],
      [steps, inputs[0]!, start, start, inputs[1]!, ...peepholes, inputs[2]!],
    );
    (save as tf.GradSaveFunc)([...inputs, ...states]);
    return {
      value: states[6]!,
      gradFunc: (dy, saved) => {
        const [x, w, b, ...states] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, ...tf.Tensor[]];
        const { steps, start, peepholes } = fixed();
        const gradients = rawOp(
          'BlockLSTMGradV2',
          [noPeepholes],
          [steps, x, start, start, w, ...peepholes, b, ...states, tf.zerosLike(states[1]!), dy as tf.Tensor],
        );
        return [gradients[0]!, gradients[3]!, gradients[7]!];
      },
    };
  })(x, w, b);
}
