import { attr, rawOp, tf } from '@graft/tf-graph';

/**
 * The leading principal components of rows `(N, width)` that arrive in batches: after each batch, those of all rows so far, up to what lies
 * outside the directions that are kept. Source: Ross et al. 2008, Incremental Learning for Robust Visual Tracking, section 3.3; HF PEFT
 * 0.21.2, utils/incremental_pca.py.
 */
export interface Directions<T> {
  /** Unit vectors `(rank, width)`, the most important first. Their signs are arbitrary. */
  vectors: T;
  /** Singular values `(rank)` of the rows minus their mean. */
  sizes: T;
  /** Mean of the rows `(width)`. */
  mean: T;
  /** Sum of the squares of the rows minus their mean, `()`. */
  spread: T;
}

/** Inputs up to this width are decomposed exactly: that is as cheap. */
const EXACT_WIDTH = 256;
/** Power iterations, as in PEFT. */
const ITERATIONS = 4;

/** Number of columns of the random basis in which inputs of `width` are decomposed, as in PEFT; 0: they are decomposed exactly. */
export const basisWidth = (rank: number, width: number): number =>
  width <= EXACT_WIDTH ? 0 : Math.min(2 * rank, width);

/**
 * Adds a batch. `rows` `(N, width)` float32; `counted` `(N, 1)` has 1 for each row that counts, at least one, and 0 for the others. `seen` `()` is
 * the number of rows that counted before; at 0 `before` must be zeros. `basis` is `(width, basisWidth)` random normal numbers; null where
 * none are needed. A row that is not finite makes the mean not finite.
 */
export function withRows(
  before: Directions<tf.Tensor>,
  {
    rows,
    counted,
    seen,
    basis,
  }: Record<'rows' | 'counted' | 'seen', tf.Tensor> & { basis: tf.Tensor | null },
): Directions<tf.Tensor> {
  const rank = before.vectors.shape[0]!;
  const count = tf.sum(counted);
  const total = tf.add(seen, count);
  const average = tf.div(tf.sum(tf.mul(rows, counted), 0), count);
  const shift = tf.sub(average, before.mean);
  const added = tf.concat(
    [
      tf.mul(tf.sub(rows, average), counted),
      tf.expandDims(tf.mul(shift, tf.sqrt(tf.div(tf.mul(seen, count), total))), 0),
    ],
    0,
  );
  const kept = tf.mul(tf.expandDims(before.sizes, 1), before.vectors);
  const stacked = tf.concat([kept, added], 0) as tf.Tensor2D;
  // A decomposition of values that are not finite may never end.
  const finite = rawOp('SelectV2', [], [rawOp('IsFinite', [], [stacked])[0]!, stacked, tf.scalar(0)])[0]!;
  const { s, v } = decomposed(finite as tf.Tensor2D, basis);
  return {
    vectors: tf.transpose(tf.slice(v, [0, 0], [-1, rank])),
    sizes: tf.slice(s, [0], [rank]),
    mean: tf.add(before.mean, tf.mul(shift, tf.div(count, total))),
    spread: tf.add(before.spread, tf.sum(tf.square(added))),
  };
}

/** Singular values and right singular vectors `(width, number of values)` of a matrix `(n, width)`. Source: Halko et al. 2009, arXiv:0909.4061. */
function decomposed(matrix: tf.Tensor2D, basis: tf.Tensor | null): { s: tf.Tensor; v: tf.Tensor } {
  if (basis === null) return singularValues(matrix);
  let left = orthonormal(tf.matMul(matrix, basis as tf.Tensor2D));
  for (let i = 0; i < ITERATIONS; i++) {
    const right = orthonormal(tf.matMul(matrix, left, true));
    left = orthonormal(tf.matMul(matrix, right));
  }
  return singularValues(tf.matMul(left, matrix, true));
}

function singularValues(matrix: tf.Tensor2D): { s: tf.Tensor; v: tf.Tensor } {
  const options = [attr.bool('compute_uv', true), attr.bool('full_matrices', false)];
  const [s, , v] = rawOp('Svd', options, [matrix]);
  return { s: s!, v: v! };
}

function orthonormal(matrix: tf.Tensor2D): tf.Tensor2D {
  return rawOp('Qr', [attr.bool('full_matrices', false)], [matrix])[0] as tf.Tensor2D;
}
