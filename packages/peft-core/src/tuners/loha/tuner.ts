import { tf } from '@graft/tf-graph';
import { flowingSum } from '../../nn/residual.ts';
import { withBias } from '../../nn/scaled-columns.ts';
import { weightValue } from '../../nn/weight.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { constant, drawn, uniform } from '../attach/start-values.ts';
import { matrixTuner } from '../matrices/attachment.ts';
import { changedProduct } from '../matrices/changed-product.ts';
import type { UpdateTarget } from '../matrices/config.ts';
import { droppedUpdate } from '../matrices/dropped-update.ts';
import { lowRankProduct } from '../matrices/merged-products.ts';
import type { LinearWrapper, Merge } from '../tuner.ts';
import { factorsOf, type LohaConfig, lohaMethod } from './method.ts';

/** LoHa: an update that is an element-wise product. Options, names and start values follow peft's LoHaConfig. */
export const lohaTuner = matrixTuner(
  lohaMethod,
  (target, config) => {
    const factors = factorsOf(target);
    return {
      // The last factor is zero, so that training starts at the base model. Source: peft, loha/layer.py (reset_adapter_parameters).
      parameters: factors.map(({ name, shape }, i) => ({
        name,
        shape,
        init:
          config.init_weights && i === 3
            ? constant(elementCount(shape), 0)
            : drawn(elementCount(shape), uniform(shape[1])),
      })),
      linear: hadamard(target, config),
      merge: merged(target),
    };
  },
  () => ['rank_dropout', 'module_dropout'],
);

/**
 * `x (W + scale · (A1 B1 ∘ A2 B2))ᵀ + bias`; with dropout, the base and the update separately.
 * Source: Hyeon-Woo et al. 2021, arXiv:2108.06098; peft, tuners/loha/layer.py.
 */
function hadamard(target: UpdateTarget, config: LohaConfig): LinearWrapper {
  const names = factorsOf(target).map(({ name }) => name);
  const update = ([a1, b1, a2, b2]: tf.Tensor[]) =>
    tf.mul(tf.matMul(a1!, b1!), tf.mul(tf.matMul(a2!, b2!), target.scale));
  return (context, x, base, { weight, bias }) => {
    const factors = names.map(context.parameter);
    if (context.random && config.rank_dropout + config.module_dropout > 0) {
      const added = changedProduct(x, weight, factors, (_w, ...factors) => update(factors));
      return flowingSum(base(x), droppedUpdate(context, added, config, true));
    }
    const product = changedProduct(x, weight, factors, (w, ...factors) => tf.add(w, update(factors)));
    return bias ? withBias(product, weightValue(bias), bias.kind !== 'frozen') : product;
  };
}

function merged(target: UpdateTarget): Merge {
  const names = factorsOf(target).map(({ name }) => name) as [string, string, string, string];
  return (weight, adapter) => {
    const [a1, b1, a2, b2] = names;
    const first = lowRankProduct(adapter(a1), adapter(b1), target);
    const second = lowRankProduct(adapter(a2), adapter(b2), target);
    return weight.map((value, i) => value + target.scale * first[i]! * second[i]!);
  };
}
