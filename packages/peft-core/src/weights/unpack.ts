import { attr, cast, rawOp, tf } from '@graft/tf-graph';
import { factorType, usesKernels } from '../nn/computation.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { dynamicMap } from './quantise/dynamic-map.ts';
import { BLOCK } from './quantise/nf4.ts';

/**
 * Values of int8 codes `(N, H)`: `codes · scales`, those `(N, 1)` or `(1, H)`; float32, or by kernels as products take them. No
 * gradient flows.
 */
export function unpackInt8(codes: tf.Tensor, scales: tf.Tensor, dtype = factorType()): tf.Tensor {
  if (usesKernels()) return rawOp('GraftUnpackInt8', [attr.type('T', dtype)], [codes, scales])[0]!;
  return tf.mul(cast(codes, 'float32'), scales);
}

/**
 * The tensors of `Nf4Weights`: codes `(pairs of bytes, 2)`, absmax `(groups, 256)`, nestedAbsmax `(groups, 1)`, offset `(1)`; and
 * `table` `(65536, 4)` of `nf4Table`.
 */
export interface Nf4Tensors {
  codes: tf.Tensor;
  absmax: tf.Tensor;
  nestedAbsmax: tf.Tensor;
  offset: tf.Tensor;
  table: tf.Tensor;
}

/**
 * Values of NF4 weights, of `shape`; float32, or by kernels as products take them. No gradient flows. Equal to bitsandbytes'
 * `dequantize_4bit` for the same parts.
 */
export function unpackNf4(
  { codes, absmax, nestedAbsmax, offset, table }: Nf4Tensors,
  shape: number[],
): tf.Tensor {
  if (usesKernels()) {
    const attributes = [attr.type('T', factorType()), attr.shape('shape', shape)];
    const parts = [codes, absmax, nestedAbsmax, offset, tf.tensor1d(dynamicMap())];
    return rawOp('GraftUnpackNf4', attributes, parts)[0]!;
  }
  const blocks = (codes.size * 2) / BLOCK;
  // Two bytes, so four weights, are one look-up.
  const pairs = rawOp('Bitcast', [attr.type('type', 'uint16')], [codes])[0]!;
  const values = tf.reshape(lookUp(table, pairs), [blocks, BLOCK]);
  const centred = tf.mul(lookUp(tf.tensor1d(dynamicMap()), absmax), nestedAbsmax);
  const maxima = cut(tf.add(centred, offset), blocks);
  return tf.reshape(cut(tf.mul(values, tf.reshape(maxima, [blocks, 1])), elementCount(shape)), shape);
}

function lookUp(table: tf.Tensor, codes: tf.Tensor): tf.Tensor {
  return rawOp('GatherV2', [], [table, cast(codes, 'int32'), tf.scalar(0, 'int32')])[0]!;
}

/** The first `size` values of x. */
function cut(x: tf.Tensor, size: number): tf.Tensor {
  return x.size === size ? x : tf.slice(tf.reshape(x, [x.size]), [0], [size]);
}
