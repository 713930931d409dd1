import { attr, cast, rawOp, tf } from '@graft/tf-graph';
import { factorType, roundsInputs, usesKernels } from '../nn/computation.ts';
import { type MatrixRows, matrixRows } from '../nn/weight.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { dynamicMap } from './quantise/dynamic-map.ts';
import { BLOCK, GROUP, nf4Layout, nf4Sizes } from './quantise/nf4.ts';

/**
 * Unpacks int8 codes `(N, H)`: `codes · scales`, with scales `(N, 1)` or `(1, H)`; or `(E, N, H)` with scales `(E, N, 1)`. Returns float32, or with kernels the type of product
 * factors. No gradient flows.
 */
export function unpackInt8(codes: tf.Tensor, scales: tf.Tensor, dtype = factorType()): tf.Tensor {
  if (!usesKernels()) return tf.mul(cast(codes, 'float32'), scales);
  const parts = [codes, scales].map((t) => (t.rank === 2 ? t : tf.reshape(t, [-1, t.shape.at(-1)!])));
  const values = rawOp('GraftUnpackInt8', [attr.type('T', dtype)], parts)[0]!;
  return codes.rank === 2 ? values : tf.reshape(values, codes.shape);
}

/**
 * Unpacks NF4 weights of `shape` from `packed`, the bytes of `Nf4Quantiser`, with `table` `(65536, 4)` of `nf4Table`. Returns float32, or with
 * kernels the type of product factors. No gradient flows. Equal to bitsandbytes' `dequantize_4bit` for the same parts.
 */
export function unpackNf4(packed: tf.Tensor, table: () => tf.Tensor, shape: number[]): tf.Tensor {
  if (usesKernels()) {
    const attributes = [attr.type('T', factorType()), attr.shape('shape', shape)];
    return rawOp('GraftUnpackNf4', attributes, [packed, tf.tensor1d(dynamicMap())])[0]!;
  }
  const size = elementCount(shape);
  const { blocks, groups } = nf4Sizes(size);
  const layout = nf4Layout(size);
  /** The bytes of a part, in rows of `columns`. */
  const part = (name: keyof typeof layout, columns: number) => {
    const { start, bytes } = layout[name];
    return tf.reshape(takeBlock(packed, [start], [bytes]), [bytes / columns, columns]);
  };
  const bitcast = (x: tf.Tensor, type: 'uint16' | 'float32') =>
    rawOp('Bitcast', [attr.type('type', type)], [x])[0]!;
  // One look-up reads two bytes, that is four weights.
  const values = tf.reshape(lookUp(table(), bitcast(part('codes', 2), 'uint16')), [blocks, BLOCK]);
  const nested = tf.reshape(bitcast(part('nestedAbsmax', 4), 'float32'), [groups, 1]);
  const centred = tf.mul(lookUp(tf.tensor1d(dynamicMap()), part('absmax', GROUP)), nested);
  const maxima = cut(tf.add(centred, bitcast(part('offset', 4), 'float32')), blocks);
  return tf.reshape(cut(tf.mul(values, tf.reshape(maxima, [blocks, 1])), size), shape);
}

/**
 * Products of x `(N, in)` with stored matrices `(out, in)`, by kernels: each row as if it were alone, equal to that with the unpacked matrix
 * unless inputs are rounded.
 */
export const storedProduct = {
  bfloat16: (x: tf.Tensor, w: tf.Tensor) => rawOp('GraftProductOfBfloat16', [], [x, w])[0]!,
  int8: (x: tf.Tensor, codes: tf.Tensor, scales: tf.Tensor) =>
    rawOp('GraftProductOfInt8', [attr.bool('integers', roundsInputs())], [x, codes, scales])[0]!,
  /** `in` must be a multiple of `BLOCK`. */
  nf4: (x: tf.Tensor, packed: tf.Tensor, shape: number[]) =>
    rawOp(
      'GraftProductOfNf4',
      [attr.bool('integers', roundsInputs()), attr.shape('shape', shape)],
      [x, packed, tf.tensor1d(dynamicMap())],
    )[0]!,
};

/** Products of rows x and stored matrices `(E, R, in)` of their experts `(N, k)`, by kernels: equal to that with unpacked matrices. */
export const storedExpertProduct = {
  int8: (x: tf.Tensor, experts: tf.Tensor, codes: tf.Tensor, scales: tf.Tensor, rows: MatrixRows) =>
    rawOp('GraftExpertProductOfInt8', matrixRows(rows), [x, experts, codes, scales])[0]!,
  /** `in` must be a multiple of `BLOCK`. */
  nf4: (x: tf.Tensor, experts: tf.Tensor, packed: tf.Tensor, shape: number[], rows: MatrixRows) =>
    rawOp(
      'GraftExpertProductOfNf4',
      [...matrixRows(rows), attr.shape('shape', shape)],
      [x, experts, packed, tf.tensor1d(dynamicMap())],
    )[0]!,
};

/** Replaces tf.slice, which does not support tensors of bytes. A GPU has no Slice for them either, only StridedSlice. */
export function takeBlock(x: tf.Tensor, begin: number[], size: number[]): tf.Tensor {
  const end = begin.map((at, i) => at + size[i]!);
  const bounds = [begin, end, begin.map(() => 1)].map((each) => tf.tensor1d(each, 'int32'));
  return rawOp('StridedSlice', [], [x, ...bounds])[0]!;
}

function lookUp(table: tf.Tensor, codes: tf.Tensor): tf.Tensor {
  return rawOp('GatherV2', [], [table, cast(codes, 'int32'), tf.scalar(0, 'int32')])[0]!;
}

/** The first `size` values of x. */
function cut(x: tf.Tensor, size: number): tf.Tensor {
  return x.size === size ? x : tf.slice(tf.reshape(x, [x.size]), [0], [size]);
}
