import { customGradient, tf } from '@graft/tf-graph';
import { updatedNorms } from '../../nn/updated-norms.ts';
import type { Weight } from '../../nn/weight.ts';
import type { LayerContext } from '../tuner.ts';
import type { LoraNames, LoraTarget } from './targets.ts';

/**
 * The magnitude of each output channel divided by the norm of its row of `W + scale · B A`, `(out)`. The norm gets no gradient, as
 * section 4.3 of the paper advises and PEFT does. `after`: the weight is read after this tensor.
 */
export function magnitudeFactors(
  { parameter }: LayerContext,
  names: LoraNames,
  { scale, transposed }: LoraTarget,
  weight: Weight,
  after: tf.Tensor,
): tf.Tensor {
  const update = { a: parameter(names.a), b: parameter(names.b), scale, transposed };
  const [magnitude, norm] = [parameter(names.magnitude!), updatedNorms(weight, update, after)];
  return customGradient({
    inputs: { magnitude },
    keep: { norm },
    value: () => tf.div(magnitude, norm),
    gradient: (dy, { norm }) => ({ magnitude: tf.div(dy, norm) }),
  });
}
