import { tf } from '@graft/tf-graph';
import { matmul } from './matmul.ts';
import { originOf, restore } from './recompute.ts';
import {
  type FrozenWeight,
  type TableWithTrainedRows,
  type Weight,
  weightValue,
  withRows,
} from './weight.ts';

/**
 * `x (N, in) · Wᵀ + b → (N, out)` with W `(out, in)`, or `(in, out)` when `transposed`. A frozen W gets no gradient, and the
 * backward pass reads it afresh.
 */
export function linear(x: tf.Tensor, weight: Weight, bias?: Weight | null, transposed = false): tf.Tensor {
  const product = productWith(x, weight, transposed);
  return bias ? tf.add(product, weightValue(bias)) : product;
}

function productWith(x: tf.Tensor, weight: Weight, transposed: boolean): tf.Tensor {
  switch (weight.kind) {
    case 'frozen':
      return frozenProduct(x, weight, transposed);
    case 'trained':
      return trainedProduct(x, weight.tensor, transposed);
    case 'rows':
      return rowsProduct(x, weight);
  }
}

function frozenProduct(x: tf.Tensor, weight: FrozenWeight, transposed: boolean): tf.Tensor {
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

/** `x (N, H) · Tᵀ → (N, V)` with a table T of which only some rows get a gradient: that of the outputs they make. */
function rowsProduct(x: tf.Tensor, table: TableWithTrainedRows): tf.Tensor {
  const origin = originOf(x);
  return tf.customGrad((x, rows, save) => {
    (save as tf.GradSaveFunc)([rows as tf.Tensor, ...origin.inputs]);
    return {
      value: matmul(x as tf.Tensor, withRows(table, rows as tf.Tensor, x as tf.Tensor), false, true),
      gradFunc: (gradient, [rows, ...kept]) => {
        const dy = gradient as tf.Tensor;
        return [matmul(dy, withRows(table, rows!, dy)), rowsGradient(table, dy, restore(origin, kept, dy))];
      },
    };
  })(x, table.rows);
}

/** Gradient `(n, H)` of a table's trained rows, from that of the outputs `(N, V)` and the inputs `(N, H)`. */
export function rowsGradient({ ids }: TableWithTrainedRows, dy: tf.Tensor, x: tf.Tensor): tf.Tensor {
  return matmul(tf.gather(dy, tf.tensor1d(ids, 'int32'), 1), x, true);
}
