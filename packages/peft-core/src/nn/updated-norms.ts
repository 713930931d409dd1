import { attr, cast, rawOp, tf, withControlDependency } from '@graft/tf-graph';
import { usesKernels, withComputation } from './computation.ts';
import { matmul } from './matmul.ts';
import { type Weight, weightValue } from './weight.ts';

export interface Update {
  /** `(r, in)`. */
  a: tf.Tensor;
  /** `(out, r)`. */
  b: tf.Tensor;
  scale: number;
  /** The weight is stored `(in, out)`. */
  transposed: boolean;
}

/**
 * The Euclidean norm of each output channel of `W + scale · B A`, `(out)`. Computed in float32 whatever the precision of products,
 * because every output of the module is divided by its norm. A channel of zeros, as a padding token has in the head, gets 1, where
 * PEFT's becomes NaN. No gradient flows. `after`: the weight is read after these tensors. The kernel does not store the sum.
 */
export function updatedNorms(weight: Weight, update: Update, after: tf.Tensor): tf.Tensor {
  const w = weightValue(weight, after);
  // The product B A has the weight's size; without the dependency those of all modules would be computed at the start.
  const late = { ...update, b: withControlDependency(update.b, after) };
  const norms = usesKernels() ? byKernel(w, update) : byStockOps(w, late);
  return tf.add(norms, tf.cast(tf.equal(norms, 0), 'float32'));
}

function byKernel(w: tf.Tensor, { a, b, scale, transposed }: Update): tf.Tensor {
  const attributes = [attr.float('scale', scale), attr.bool('transposed', transposed)];
  return rawOp('GraftUpdatedNorms', attributes, [w, a, b])[0]!;
}

function byStockOps(w: tf.Tensor, { a, b, scale, transposed }: Update): tf.Tensor {
  return withComputation({ precision: 'fp32' }, () => {
    const update = transposed ? matmul(a, b, true, true) : matmul(b, a); // as the weight is stored
    const whole = tf.add(cast(w, 'float32'), tf.mul(update, scale));
    return tf.sqrt(tf.sum(tf.square(whole), transposed ? 0 : 1));
  });
}
