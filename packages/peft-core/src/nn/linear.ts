import { customGradient, tf, withControlDependency } from '@graft/tf-graph';
import { computesRowByRow } from './computation.ts';
import { flowingMatmul, matmul } from './matmul.ts';
import { originOf, restore } from './recompute.ts';
import { withBias } from './scaled-columns.ts';
import {
  type FrozenWeight,
  type TableWithTrainedRows,
  type Weight,
  weightValue,
  withRows,
} from './weight.ts';

/**
 * `x (N, in) · Wᵀ + b → (N, out)` with W `(out, in)`, or `(in, out)` when `transposed`. A frozen W gets no gradient, and the backward
 * pass reads it again instead of keeping it.
 */
export function linear(x: tf.Tensor, weight: Weight, bias?: Weight | null, transposed = false): tf.Tensor {
  const product = productWith(x, weight, transposed);
  return bias ? withBias(product, weightValue(bias), bias.kind !== 'frozen') : product;
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
  return customGradient({
    inputs: { x },
    keep: {},
    value: () => weightProduct(x, weight, transposed),
    gradient: (dy) => ({ x: flowingMatmul(dy, weightValue(weight, dy), false, transposed) }),
  });
}

/** `x (N, in) · Wᵀ → (N, out)`, or `x · W` when `transposed`, without a gradient. */
export function weightProduct(x: tf.Tensor, weight: Weight, transposed: boolean): tf.Tensor {
  if (weight.kind === 'frozen' && weight.rowProduct && computesRowByRow() && !transposed)
    return weight.rowProduct(x);
  return flowingMatmul(x, weightValue(weight, x), false, !transposed);
}

/** `x (N, in) · Wᵀ → (N, out)` with gradients for both. Keeps x, or what x is recomputed from. */
export function trainedProduct(x: tf.Tensor, w: tf.Tensor, transposed = false): tf.Tensor {
  const origin = originOf(x);
  return customGradient({
    inputs: { x, w },
    keep: { w, origin: origin.inputs },
    value: () => flowingMatmul(x, w, false, !transposed),
    gradient(dy, kept) {
      const x = restore(origin, kept.origin, dy);
      const dw = transposed ? matmul(x, dy, true) : matmul(dy, x, true);
      // x is large; the control dependency lets it be freed before the gradient of x is propagated further.
      const onward = withControlDependency(dy, dw);
      return { x: flowingMatmul(onward, kept.w, false, transposed), w: dw };
    },
  });
}

/** `x (N, H) · Tᵀ → (N, V)` with a table T `(V, H)`. Only its trained rows get a gradient, from the outputs that they produce. */
function rowsProduct(x: tf.Tensor, table: TableWithTrainedRows): tf.Tensor {
  const { rows } = table;
  const origin = originOf(x);
  return customGradient({
    inputs: { x, rows },
    keep: { rows, origin: origin.inputs },
    value: () => flowingMatmul(x, withRows(table, rows, x), false, true),
    gradient: (dy, kept) => ({
      x: flowingMatmul(dy, withRows(table, kept.rows, dy)),
      rows: rowsGradient(table, dy, restore(origin, kept.origin, dy)),
    }),
  });
}

/** The gradient `(n, H)` of a table's trained rows, from the gradient of the outputs `(N, V)` and the inputs `(N, H)`. */
export function rowsGradient({ ids }: TableWithTrainedRows, dy: tf.Tensor, x: tf.Tensor): tf.Tensor {
  return matmul(tf.gather(dy, tf.tensor1d(ids, 'int32'), 1), x, true);
}
