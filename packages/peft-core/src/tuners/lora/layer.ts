import { tf } from '@graft/tf-graph';
import { dropout } from '../../nn/dropout.ts';
import { trainedProduct } from '../../nn/linear.ts';
import { activeRows, updatedLinear } from '../../nn/low-rank.ts';
import { flowingSum } from '../../nn/residual.ts';
import { takeRows } from '../../nn/rows.ts';
import { scaledColumns, withBias } from '../../nn/scaled-columns.ts';
import { weightValue } from '../../nn/weight.ts';
import type { EmbeddingWrapper, LayerContext, LinearWrapper } from '../tuner.ts';
import { magnitudeFactors } from './dora.ts';
import type { LoraNames, LoraTarget } from './targets.ts';

/**
 * `base(x) + scale · (dropout(x) Aᵀ) Bᵀ` with A `(r, in)` and B `(out, r)`, plus the update's bias if it has one.
 * Source: Hu et al. 2021, arXiv:2106.09685; peft, tuners/lora/layer.py (Linear.forward).
 */
export function loraLinear(
  names: LoraNames,
  { scale }: LoraTarget,
  dropoutProbability: number,
): LinearWrapper {
  return (context, x, base) => {
    const input = context.random ? dropout(x, dropoutProbability, context.random) : x;
    const update = flowingSum(base(x), updateOf(context, input, names, scale));
    return names.bias ? tf.add(update, tf.mul(context.parameter(names.bias), scale)) : update;
  };
}

/**
 * DoRA: `f ⊙ (W x + scale · B A x) + bias`, where f is the magnitude of each output channel divided by the norm of its row of
 * `W + scale · B A`. With dropout, `base(x) + (f − 1) ⊙ W x̃ + f ⊙ scale · B A x̃` with x̃ = dropout(x), as in PEFT.
 * Source: Liu et al. 2024, arXiv:2402.09353; peft, tuners/lora/dora.py (DoraLinearLayer.forward).
 */
export function doraLinear(names: LoraNames, target: LoraTarget, dropoutProbability: number): LinearWrapper {
  return (context, x, base, { product, weight, bias }) => {
    const factors = magnitudeFactors(context, names, target, weight, x);
    if (context.random === undefined || dropoutProbability === 0) {
      const [a, b] = [context.parameter(names.a), context.parameter(names.b)];
      const plain = { weight, bias: null, transposed: target.transposed };
      const sum = scaledColumns(updatedLinear(x, plain, [{ a, b, scale: target.scale, offset: 0 }]), factors);
      return bias ? withBias(sum, weightValue(bias), bias.kind !== 'frozen') : sum;
    }
    const input = dropout(x, dropoutProbability, context.random);
    const correction = scaledColumns(product(input), tf.sub(factors, 1));
    const update = scaledColumns(updateOf(context, input, names, target.scale), factors);
    return flowingSum(flowingSum(base(x), correction), update);
  };
}

/** `scale · (x Aᵀ) Bᵀ`, at active rows. The scale multiplies the narrow product (N, r) instead of the wide one. */
function updateOf(
  { parameter, active }: LayerContext,
  x: tf.Tensor,
  names: LoraNames,
  scale: number,
): tf.Tensor {
  const all = tf.mul(trainedProduct(x, parameter(names.a)), scale);
  const down = active ? activeRows(all, active()) : all;
  return trainedProduct(down, parameter(names.b));
}

/**
 * `base(ids) + scale · Aᵀ[ids] Bᵀ` with A `(r, V)` and B `(H, r)`; with magnitudes the whole sum is multiplied by f `(H)`, as for a
 * linear module whose inputs are the vocabulary. A factor of the module's output multiplies the update, too. Source: peft,
 * tuners/lora/layer.py (Embedding.forward), dora.py (DoraEmbeddingLayer).
 */
export function loraEmbedding(names: LoraNames, target: LoraTarget): EmbeddingWrapper {
  return (context, ids, base) => {
    const { parameter, weight } = context;
    const scale = target.scale * target.outputFactor;
    const rows = tf.mul(takeRows(tf.transpose(parameter(names.a)), ids, target.padding), scale); // (N, r)
    const sum = tf.add(base(ids), trainedProduct(rows, parameter(names.b)));
    if (!names.magnitude) return sum;
    return tf.mul(sum, magnitudeFactors(context, names, target, weight(`${target.name}.weight`)!, ids));
  };
}
