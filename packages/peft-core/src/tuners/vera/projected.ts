import { customGradient, nestedGrads, tf, withControlDependency } from '@graft/tf-graph';
import { flowingMatmul } from '../../nn/matmul.ts';
import { scaledColumns } from '../../nn/scaled-columns.ts';

/** The parts of an update: the projections A `(rank, ≥ in)` and B `(≥ out, rank)`, which get no gradient, and the trained vectors. */
interface UpdateParts {
  a: tf.Tensor;
  b: tf.Tensor;
  /** `(rank)` */
  rows: tf.Tensor;
  /** `(out)` */
  outputs: tf.Tensor;
}

/**
 * `λb ∘ ((λd ∘ (x Aᵀ)) Bᵀ)`: x `(N, in)` → `(N, out)`, with the first columns of A and rows of B. Keeps x Aᵀ; the backward pass computes
 * the product with B again instead of keeping it. Source: Kopiczko et al. 2023, arXiv:2310.11454; peft, tuners/vera/layer.py.
 */
export function projected(x: tf.Tensor, { a, b, rows, outputs }: UpdateParts): tf.Tensor {
  const [width, out] = [x.shape[1]!, outputs.shape[0]!];
  const usedRows = (b: tf.Tensor) => firstRows(b, out);
  let narrow: tf.Tensor;
  return customGradient({
    inputs: { x, rows, outputs },
    keep: () => ({ narrow, rows, outputs, a, b }),
    value() {
      narrow = flowingMatmul(x, firstColumns(a, width), false, true); // (N, rank)
      return scaledColumns(flowingMatmul(scaledColumns(narrow, rows), usedRows(b), false, true), outputs);
    },
    gradient(dy, kept) {
      const narrow = withControlDependency(kept.narrow, dy);
      const wide = flowingMatmul(scaledColumns(narrow, kept.rows), usedRows(kept.b), false, true); // (N, out)
      const [dWide, dOutputs] = nestedGrads(scaledColumns)([wide, kept.outputs], dy);
      const dScaled = flowingMatmul(dWide!, usedRows(kept.b)); // (N, rank)
      const [dNarrow, dRows] = nestedGrads(scaledColumns)([narrow, kept.rows], dScaled);
      return {
        x: flowingMatmul(dNarrow!, firstColumns(kept.a, width)),
        rows: dRows!,
        outputs: dOutputs!,
      };
    },
  });
}

const firstColumns = (matrix: tf.Tensor, count: number): tf.Tensor =>
  matrix.shape[1] === count ? matrix : tf.slice(matrix, [0, 0], [-1, count]);

const firstRows = (matrix: tf.Tensor, count: number): tf.Tensor =>
  matrix.shape[0] === count ? matrix : tf.slice(matrix, [0, 0], [count, -1]);
