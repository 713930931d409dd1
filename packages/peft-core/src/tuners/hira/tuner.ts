import { tf } from '@graft/tf-graph';
import { dropout } from '../../nn/dropout.ts';
import { trainedProduct } from '../../nn/linear.ts';
import { flowingSum } from '../../nn/residual.ts';
import { takeRows } from '../../nn/rows.ts';
import { withBias } from '../../nn/scaled-columns.ts';
import { weightValue } from '../../nn/weight.ts';
import { constant, drawn, normal, uniform } from '../attach/start-values.ts';
import { matrixTuner } from '../matrices/attachment.ts';
import { changedProduct } from '../matrices/changed-product.ts';
import { lowRankProduct } from '../matrices/merged-products.ts';
import type { MatrixTarget } from '../matrices/targets.ts';
import type { EmbeddingWrapper, LinearWrapper, ParameterInit } from '../tuner.ts';
import { factorNames, type HiraConfig, hiraMethod } from './method.ts';

/** HiRA: weights times `1 + B A`. Options, names and start values follow peft's HiraConfig. */
export const hiraTuner = matrixTuner(
  hiraMethod,
  (target, config) => {
    const { width, out } = target;
    const rank = config.r;
    const { a, b } = factorNames(target);
    const isEmbedding = target.kind === 'embedding';
    const [first, second] = startValues(target, config);
    return {
      parameters: [
        { name: a, shape: [rank, width], init: first },
        { name: b, shape: [out, rank], init: second },
      ],
      ...(isEmbedding
        ? { embedding: scaledRows(a, b) }
        : { linear: scaledWeight(a, b, target, config.hira_dropout) }),
      merge: (weight, adapter) => {
        const update = lowRankProduct(adapter(b), adapter(a), target);
        return weight.map((value, i) => value * (1 + update[i]!));
      },
    };
  },
  () => ['hira_dropout'],
);

/** Source: peft, tuners/hira/layer.py (reset_hira_parameters). */
function startValues(
  { kind, width, out }: MatrixTarget,
  { r: rank, init_weights: init }: HiraConfig,
): [a: ParameterInit, b: ParameterInit] {
  const [a, b] = [rank * width, out * rank];
  if (!init) return [drawn(a, normal), drawn(b, normal)];
  if (kind === 'embedding') return [constant(a, 0), drawn(b, normal)];
  const first = init === 'gaussian' ? drawn(a, (random) => random.normal() / rank) : drawn(a, uniform(width));
  return [first, constant(b, 0)];
}

/**
 * `x (W ∘ (1 + B A))ᵀ + bias`; with dropout, `base(x) + dropout(x) (W ∘ B A)ᵀ`.
 * Source: Huang et al. 2025; peft, tuners/hira/layer.py (Linear.forward).
 */
function scaledWeight(
  a: string,
  b: string,
  { transposed }: MatrixTarget,
  probability: number,
): LinearWrapper {
  const update = (a: tf.Tensor, b: tf.Tensor) => (transposed ? tf.matMul(a, b, true, true) : tf.matMul(b, a));
  return ({ parameter, random }, x, base, { weight, bias }) => {
    const factors = [parameter(a), parameter(b)];
    if (random && probability > 0) {
      const input = dropout(x, probability, random);
      const added = changedProduct(
        input,
        weight,
        factors,
        (w, a, b) => tf.mul(w, update(a!, b!)),
        transposed,
      );
      return flowingSum(base(x), added);
    }
    const change = (w: tf.Tensor, ...[a, b]: tf.Tensor[]) => tf.mul(w, tf.add(update(a!, b!), 1));
    const product = changedProduct(x, weight, factors, change, transposed);
    return bias ? withBias(product, weightValue(bias), bias.kind !== 'frozen') : product;
  };
}

/** `base(ids) ∘ (1 + Aᵀ[ids] Bᵀ)`. */
function scaledRows(a: string, b: string): EmbeddingWrapper {
  return ({ parameter }, ids, base) => {
    const rows = takeRows(tf.transpose(parameter(a)), ids); // (N, r)
    return tf.mul(base(ids), tf.add(trainedProduct(rows, parameter(b)), 1));
  };
}
