import { tf } from '@graft/tf-graph';
import { matmul } from './matmul.ts';
import { originOf, restore } from './recompute.ts';
import { type Weight, weightValue } from './weight.ts';

/**
 * `x (N, in) · Wᵀ + b → (N, out)` with W `(out, in)`, or `(in, out)` when `transposed`. A frozen W gets no gradient, and the
 * backward pass reads it afresh.
 */
export function linear(x: tf.Tensor, weight: Weight, bias?: Weight | null, transposed = false): tf.Tensor {
  const product =
    weight.kind === 'frozen'
      ? frozenProduct(x, weight, transposed)
      : trainedProduct(x, weight.tensor, transposed);
  return bias ? tf.add(product, weightValue(bias)) : product;
}

function frozenProduct(x: tf.Tensor, weight: Weight, transposed: boolean): tf.Tensor {
  return tf.customGrad((x) => ({
    value: matmul(x as tf.Tensor, weightValue(weight, x as tf.Tensor), false, !transposed),
    gradFunc: (dy) => matmul(dy as tf.Tensor, weightValue(weight, dy as tf.Tensor), false, transposed),
  }))(x);
}

/** `x (N, in) · Wᵀ → (N, out)` with gradients for both. Keeps x, or what it is cheaply recomputed from. */
export function trainedProduct(x: tf.Tensor, weight: tf.Tensor, transposed = false): tf.Tensor {
  const origin = originOf(x);
  return tf.customGrad((x, w, save) => {
    (save as tf.GradSaveFunc)([w as tf.Tensor, ...origin.inputs]);
    return {
      value: matmul(x as tf.Tensor, w as tf.Tensor, false, !transposed),
      gradFunc: (dy, [w, ...kept]) => {
        const x = restore(origin, kept, dy as tf.Tensor);
        return [
          matmul(dy as tf.Tensor, w!, false, transposed),
          transposed ? matmul(x, dy as tf.Tensor, true) : matmul(dy as tf.Tensor, x, true),
        ];
      },
    };
  })(x, weight);
}
