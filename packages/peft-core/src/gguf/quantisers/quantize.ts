import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { bytesOf } from '../../tensors/bytes-of.ts';
import { toFloat16 } from '../../tensors/float16.ts';
import { mxfp4Factors } from '../../tensors/mxfp4.ts';
import { type GgufType, ggufTypes } from '../types.ts';
import { packQ4K, packQ5K, packQ6K } from './k-quants.ts';
import { type Packer, storeHalf } from './packer.ts';

// Blocks of 32 values with one scale. The arithmetic is that of ggml's reference, in float32, so that the bytes are the same.

const { fround } = Math;

/** To nearest, halves away from zero: C's roundf. */
const roundAway = (value: number) => (value < 0 ? -Math.floor(0.5 - value) : Math.floor(value + 0.5));

const inverse = (scale: number) => (scale === 0 ? 0 : fround(1 / scale));

/** x ≈ d·q with q from −127 to 127; d makes the largest value ±127. */
const packQ8: Packer = (values, out, blocks) => {
  for (let b = 0, at = 0, v = 0; b < blocks; b++, at += 34, v += 32) {
    let largest = 0;
    for (let j = v; j < v + 32; j++) largest = Math.max(largest, Math.abs(values[j]!));
    const d = fround(largest / 127);
    const toQuants = inverse(d);
    storeHalf(out, at, d);
    for (let j = 0; j < 32; j++) out[at + 2 + j] = roundAway(fround(values[v + j]! * toQuants));
  }
};

/** x ≈ d·(q − 16) with q from 0 to 31; d makes the value of the largest size −16, so that it is exact. */
const packQ5: Packer = (values, out, blocks) => {
  for (let b = 0, at = 0, v = 0; b < blocks; b++, at += 22, v += 32) {
    let largest = 0;
    for (let j = v; j < v + 32; j++) if (Math.abs(values[j]!) > Math.abs(largest)) largest = values[j]!;
    const d = fround(largest / -16);
    const toQuants = inverse(d);
    storeHalf(out, at, d);
    const quant = (value: number) => Math.min(31, Math.trunc(fround(fround(value * toQuants) + 16.5)));
    storeFiveBits(out, at + 2, (j) => quant(values[v + j]!));
  }
};

/** x ≈ d·q + m with q from 0 to 31, m the smallest value and m + 31·d the largest. */
const packQ5WithMinimum: Packer = (values, out, blocks) => {
  for (let b = 0, at = 0, v = 0; b < blocks; b++, at += 24, v += 32) {
    let [low, high] = [values[v]!, values[v]!];
    for (let j = v + 1; j < v + 32; j++) {
      low = Math.min(low, values[j]!);
      high = Math.max(high, values[j]!);
    }
    const d = fround(fround(high - low) / 31);
    const toQuants = inverse(d);
    storeHalf(out, at, d);
    storeHalf(out, at + 2, low);
    const quant = (value: number) => Math.trunc(fround(fround(fround(value - low) * toQuants) + 0.5));
    storeFiveBits(out, at + 4, (j) => quant(values[v + j]!));
  }
};

/** Four bytes with the fifth bit of each of 32 quants, and 16 bytes with the others: quant j low and quant j + 16 high. */
function storeFiveBits(out: Uint8Array, at: number, quant: (j: number) => number): void {
  let fifth = 0;
  for (let j = 0; j < 16; j++) {
    const [low, high] = [quant(j), quant(j + 16)];
    out[at + 4 + j] = (low & 15) | ((high & 15) << 4);
    fifth |= ((low >> 4) << j) | ((high >> 4) << (j + 16));
  }
  for (let byte = 0; byte < 4; byte++) out[at + byte] = (fifth >> (8 * byte)) & 255;
}

/** Above each of these is the next of the numbers 0, 0.5, 1, 1.5, 2, 3, 4 and 6; halfway, as in ggml, is the smaller one. */
const bounds = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5];

/** The largest number's exponent: 6 = 1.5 · 2². */
const largest = 2;

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/**
 * 17 bytes a block: the scale, a power of two that makes the largest value at least 4 and less than 8, of which the largest code is 6; and
 * codes. Values that were MXFP4 stay the same.
 */
const packMxfp4: Packer = (values, out, blocks) => {
  const code = (value: number, factor: number) => {
    const magnitude = Math.abs(value) / factor;
    let code = 0;
    while (code < bounds.length && magnitude > bounds[code]!) code++;
    return value < 0 && code > 0 ? code + 8 : code;
  };
  for (let b = 0, at = 0, v = 0; b < blocks; b++, at += 17, v += 32) {
    float[0] = 0;
    for (let j = v; j < v + 32; j++) float[0] = Math.max(float[0]!, Math.abs(values[j]!));
    const scale = Math.max(0, (bits[0]! >>> 23) - largest);
    const factor = mxfp4Factors[scale]!;
    out[at] = scale;
    for (let j = 0; j < 16; j++)
      out[at + 1 + j] = code(values[v + j]!, factor) | (code(values[v + 16 + j]!, factor) << 4);
  }
};

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
