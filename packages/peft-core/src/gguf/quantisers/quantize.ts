import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { bytesOf } from '../../tensors/bytes-of.ts';
import { toFloat16 } from '../../tensors/float16.ts';
import { type GgufType, ggufTypes } from '../types.ts';
import { packQ4K, packQ5K, packQ6K } from './k-quants.ts';
import { packMxfp4 } from './mxfp4.ts';
import type { Packer } from './packer.ts';
import { packQ5, packQ5WithMinimum, packQ8 } from './plain-quants.ts';

/** The types that Graft writes. */
export type WrittenType = Extract<
  GgufType,
  'F32' | 'F16' | 'BF16' | 'Q5_0' | 'Q5_1' | 'Q8_0' | 'Q4_K' | 'Q5_K' | 'Q6_K' | 'MXFP4'
>;

/** Bytes of `count` values, which are whole blocks. */
export const packedBytes = (type: GgufType, count: number): number =>
  (count / ggufTypes[type].values) * ggufTypes[type].bytes;

/**
 * Packs `values`, whole blocks of finite numbers, into `out`: the inverse of `dequantize`. F32, F16, BF16, Q5_0, Q5_1, Q8_0 and MXFP4 give
 * the bytes of ggml's reference; the errors of K-quants are within a few thousandths of those of the reference.
 */
export function quantize(type: WrittenType, values: Float32Array, out: Uint8Array): void {
  const blocks = values.length / ggufTypes[type].values;
  if (!Number.isInteger(blocks) || out.byteLength !== packedBytes(type, values.length))
    throw new Error(`${out.byteLength} bytes of ${type} do not hold ${values.length} values`);
  packers[type](values, out, blocks);
}

const packers: Record<WrittenType, Packer> = {
  F32: (values, out) => out.set(bytesOf(values)),
  F16: (values, out) => out.set(bytesOf(toFloat16(values))),
  BF16: (values, out) => out.set(bytesOf(toBfloat16(values))),
  Q5_0: packQ5,
  Q5_1: packQ5WithMinimum,
  Q8_0: packQ8,
  Q4_K: packQ4K,
  Q5_K: packQ5K,
  Q6_K: packQ6K,
  MXFP4: packMxfp4,
};
