import { tf } from '@graft/tf-graph';
import { trainedProduct } from '../../nn/linear.ts';
import { flowingSum } from '../../nn/residual.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { constant, drawn, uniform } from '../attach/start-values.ts';
import { matrixTuner } from '../matrices/attachment.ts';
import type { UpdateTarget } from '../matrices/config.ts';
import { droppedUpdate } from '../matrices/dropped-update.ts';
import { lowRankProduct } from '../matrices/merged-products.ts';
import type { LayerContext, LinearWrapper, Merge, ParameterInit } from '../tuner.ts';
import { factorsOf, type LokrConfig, lokrMethod, type NamedMatrix } from './method.ts';

/** LoKr: an update that is a Kronecker product. Options, names and start values follow peft's LoKrConfig. */
export const lokrTuner = matrixTuner(
  lokrMethod,
  (target, config) => {
    const { first, second } = factorsOf(target, config);
    const zero = zeroAtStart(first, second, config.init_weights);
    return {
      parameters: [...first, ...second].map((matrix) => ({
        ...matrix,
        init: matrix === zero ? constant(elementCount(matrix.shape), 0) : kaiming(matrix),
      })),
      linear: kronecker(target, config),
      merge: merged(target, config),
    };
  },
  () => ['rank_dropout', 'module_dropout'],
);

/** The matrix that makes the update zero at the start. Source: peft, tuners/lokr/layer.py (reset_adapter_parameters…). */
function zeroAtStart(first: NamedMatrix[], second: NamedMatrix[], init: LokrConfig['init_weights']) {
  if (init === false) return undefined;
  return init === 'lycoris' ? second.at(-1) : first[0];
}

const kaiming = ({ shape }: NamedMatrix): ParameterInit => drawn(elementCount(shape), uniform(shape[1]));

/**
 * `base(x) + scale · x (W1 ⊗ W2)ᵀ`, without the product of the size of the weight: W2 is applied to each part of x, then W1 to the parts.
 * Source: Yeh et al. 2023, arXiv:2309.14859; peft, tuners/lokr/layer.py.
 */
function kronecker(target: UpdateTarget, config: LokrConfig): LinearWrapper {
  const { sizes, first, second } = factorsOf(target, config);
  const { outer, inner, outRest, inRest } = sizes;
  return (context, x, base) => {
    const parts = byFactors(context, tf.reshape(x, [-1, inRest]), second); // (N · inner, outRest)
    const turned = tf.transpose(tf.reshape(parts, [-1, inner, outRest]), [0, 2, 1]);
    const mixed = byFactors(context, tf.reshape(turned, [-1, inner]), first, target.scale); // (N · outRest, outer)
    const update = tf.transpose(tf.reshape(mixed, [-1, outRest, outer]), [0, 2, 1]);
    const whole = tf.reshape(update, [-1, target.out]);
    return flowingSum(base(x), droppedUpdate(context, whole, config, config.rank_dropout_scale));
  };
}

/** `scale · x Mᵀ` for a matrix M, or for the product of its two factors. */
function byFactors({ parameter }: LayerContext, x: tf.Tensor, matrices: NamedMatrix[], scale = 1): tf.Tensor {
  return matrices.toReversed().reduce((x, { name }, i) => {
    const matrix = parameter(name);
    return trainedProduct(x, i === 0 && scale !== 1 ? tf.mul(matrix, scale) : matrix);
  }, x);
}

function merged(target: UpdateTarget, config: LokrConfig): Merge {
  const { sizes, first, second } = factorsOf(target, config);
  const { outRest, inner, inRest } = sizes;
  return (weight, adapter) => {
    const [w1, w2] = [first, second].map((matrices) => productOf(matrices, adapter)) as [
      Float32Array,
      Float32Array,
    ];
    return weight.map((value, at) => {
      const [o, i] = [Math.floor(at / target.width), at % target.width];
      const left = w1[Math.floor(o / outRest) * inner + Math.floor(i / inRest)]!;
      return value + target.scale * left * w2[(o % outRest) * inRest + (i % inRest)]!;
    });
  };
}

/** A matrix, or the product of its two factors. */
function productOf([a, b]: NamedMatrix[], adapter: (name: string) => Float32Array): Float32Array {
  if (!b) return adapter(a!.name);
  const sizes = { width: b.shape[1], out: a!.shape[0], transposed: false };
  return lowRankProduct(adapter(a!.name), adapter(b.name), sizes);
}
