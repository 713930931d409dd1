import { tf } from '@graft/tf-graph';
import { matmul } from './matmul.ts';
import { originOf, restore } from './recompute.ts';
import { type Weight, weightValue } from './weight.ts';

/** `x (N, in) · Wᵀ → (N, out)` with W `(out, in)`. A frozen W gets no gradient, and the backward pass reads it afresh. */
export function linear(x: tf.Tensor, weight: Weight, bias?: Weight): tf.Tensor {
  const product = weight.kind === 'frozen' ? frozenProduct(x, weight) : trainedProduct(x, weight.tensor);
  return bias ? tf.add(product, weightValue(bias)) : product;
}

function frozenProduct(x: tf.Tensor, weight: Weight): tf.Tensor {
  return tf.customGrad((x) => ({
    value: matmul(x as tf.Tensor, weightValue(weight, x as tf.Tensor), false, true),
    gradFunc: (dy) => matmul(dy as tf.Tensor, weightValue(weight, dy as tf.Tensor)),
  }))(x);
}

/** `x (N, in) · Wᵀ → (N, out)` with gradients for both. Keeps x, or what it is cheaply recomputed from. */
export function trainedProduct(x: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  const origin = originOf(x);
  return tf.customGrad((x, w, save) => {
    (save as tf.GradSaveFunc)([w as tf.Tensor, ...origin.inputs]);
    return {
      value: matmul(x as tf.Tensor, w as tf.Tensor, false, true),
      gradFunc: (dy, [w, ...kept]) => [
        matmul(dy as tf.Tensor, w!),
        matmul(dy as tf.Tensor, restore(origin, kept, dy as tf.Tensor), true),
      ],
    };
  })(x, weight);
}
