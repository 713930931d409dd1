import { attr, cast, rawOp, tf } from '@graft/tf-graph';

/**
 * A weight as a layer sees it. A frozen weight is read from the session where it is used, so that its unpacked copy lives only
 * as long as its use. A trained weight is a tensor with a gradient. In a table with trained rows only these rows are trained.
 */
export type Weight = FrozenWeight | TrainedWeight | TableWithTrainedRows;

export interface FrozenWeight {
  kind: 'frozen';
  shape: number[];
  /** The value, in float32 or in stored bfloat16, read no earlier than `after`. */
  read(...after: tf.Tensor[]): tf.Tensor;
  /** The rows `(N, …)` for ids `(N)` int32, in float32, without unpacking the other rows. */
  gather(ids: tf.Tensor): tf.Tensor;
  /** The value in slices of rows, for layers that can read a large weight slice by slice instead of unpacking all of it. */
  slices?: WeightSlice[] | undefined;
  /** With kernels: x `(N, in)` → `x · Wᵀ (N, out)` in float32, row by row, without unpacking a whole W `(out, in)`. */
  rowProduct?(x: tf.Tensor): tf.Tensor;
  /**
   * With kernels, of a stack of matrices W `(E, R, in)`: rows of x times rows of their experts' matrices, without unpacking W. Equal to
   * the product with the unpacked W.
   */
  expertProduct?(x: tf.Tensor, experts: tf.Tensor, rows: MatrixRows): tf.Tensor;
  /** The matrix `(W, in)` that stacks this weight and others with the same input. */
  stack?: FrozenWeight;
}

/** Rows [first, first + count) of each matrix; `reversed`: x times these rows, instead of times their transpose. */
export interface MatrixRows {
  first: number;
  count: number;
  reversed: boolean;
}

/** As attributes of an operation. */
export const matrixRows = ({ first, count, reversed }: MatrixRows) => [
  attr.int('first', first),
  attr.int('count', count),
  attr.bool('reversed', reversed),
];

export interface WeightSlice {
  rows: number;
  read(...after: tf.Tensor[]): tf.Tensor;
}

export interface TrainedWeight {
  kind: 'trained';
  tensor: tf.Tensor;
}

/** A frozen table `(V, H)` in which `rows` `(n, H)` replace the rows at the distinct `ids`. */
export interface TableWithTrainedRows {
  kind: 'rows';
  base: FrozenWeight;
  ids: number[];
  rows: tf.Tensor;
}

/** The weight's value, read no earlier than `after`. */
export function weightValue(weight: Weight, ...after: tf.Tensor[]): tf.Tensor {
  switch (weight.kind) {
    case 'frozen':
      return weight.read(...after);
    case 'trained':
      return weight.tensor;
    case 'rows':
      return withRows(weight, weight.rows, ...after);
  }
}

export function trainedPart(weight: Weight): tf.Tensor | undefined {
  switch (weight.kind) {
    case 'frozen':
      return undefined;
    case 'trained':
      return weight.tensor;
    case 'rows':
      return weight.rows;
  }
}

/** The table with `rows` inserted. This is a copy of the whole table, so release it soon. No gradient flows. */
export function withRows(
  { base, ids }: TableWithTrainedRows,
  rows: tf.Tensor,
  ...after: tf.Tensor[]
): tf.Tensor {
  const attrs = [attr.type('T', 'float32'), attr.type('Tindices', 'int32')];
  const at = tf.tensor2d(ids, [ids.length, 1], 'int32');
  return rawOp('TensorScatterUpdate', attrs, [cast(base.read(...after), 'float32'), at, rows])[0]!;
}

/** The weight's shape as stored. */
export function weightShape(weight: Weight): number[] {
  switch (weight.kind) {
    case 'frozen':
      return weight.shape;
    case 'trained':
      return weight.tensor.shape;
    case 'rows':
      return weight.base.shape;
  }
}
