import { cast, customGradient, tf } from '@graft/tf-graph';
import { withComputation } from '../../nn/computation.ts';
import { matmul } from '../../nn/matmul.ts';
import { type Weight, weightValue } from '../../nn/weight.ts';
import type { LayerContext } from '../tuner.ts';
import type { LoraNames, LoraTarget } from './targets.ts';

/**
 * The magnitude of each output channel over the norm of its row of `W + scale · B A`, `(out)`. The norm gets no gradient, as
 * the paper's section 4.3 advises and PEFT does. `after`: what the weight is read after.
 */
export function magnitudeFactors(
  { parameter }: LayerContext,
  names: LoraNames,
  { scale, transposed }: LoraTarget,
  weight: Weight,
  after: tf.Tensor,
): tf.Tensor {
  const [a, b] = [parameter(names.a), parameter(names.b)];
  // In full precision: the norm stands under every output of the module.
  const normOf = () =>
    withComputation({ precision: 'fp32' }, () => {
      const update = transposed ? matmul(a, b, true, true) : matmul(b, a); // as the weight is stored
      const whole = tf.add(cast(weightValue(weight, after), 'float32'), tf.mul(update, scale));
      const norm = tf.sqrt(tf.sum(tf.square(whole), transposed ? 0 : 1));
      // A channel of zeros, as a padding token has in the head, stays one; PEFT's becomes NaN.
      return tf.add(norm, tf.cast(tf.equal(norm, 0), 'float32'));
    });
  const [magnitude, norm] = [parameter(names.magnitude!), normOf()];
  return customGradient({
    inputs: { magnitude },
    keep: { norm },
    value: () => tf.div(magnitude, norm),
    gradient: (dy, { norm }) => ({ magnitude: tf.div(dy, norm) }),
  });
}
