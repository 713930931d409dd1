import { fromBfloat16 } from '@graft/tf-graph/bfloat16';
import { float16ToFloat32, halfValues } from '../tensors/float16.ts';
import { mxfp4Factors, mxfp4Values } from '../tensors/mxfp4.ts';
import { type GgufType, ggufTypes } from './types.ts';

/**
 * Unpacks `raw` (whole blocks of `type`) into `out`. The values equal those of ggml (ggml-quants.c) and of the `gguf` Python
 * package's dequantize. Block scales are half floats and quants have at most 8 bits, so products and sums below are exact
 * in double precision and rounded once, when stored. Float32 arithmetic gives the same float32.
 *
 * Terms: d, m: scale and minimum of a block; q: a quant; a nibble is four bits, the low nibble first.
 */
export function dequantize(type: GgufType, raw: Uint8Array, out: Float32Array): void {
  const { values, bytes } = ggufTypes[type];
  const blocks = out.length / values;
  if (!Number.isInteger(blocks) || raw.byteLength !== blocks * bytes) {
    throw new Error(`${raw.byteLength} bytes of ${type} do not hold ${out.length} values`);
  }
  unpackers[type](raw, out, blocks);
}

type Unpacker = (raw: Uint8Array, out: Float32Array, blocks: number) => void;

const unpackers: Record<GgufType, Unpacker> = {
  F32: (raw, out) => new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(raw),
  F16: (raw, out) => float16ToFloat32(words(raw), out),
  BF16: (raw, out) => fromBfloat16(words(raw), out),

  /** 32 values: d, 16 bytes of nibbles (low: values 0–15, high: 16–31); x = d·(q − 8). */
  Q4_0(raw, out, blocks) {
    const half = halfValues();
    for (let b = 0, at = 0, o = 0; b < blocks; b++, at += 18, o += 32) {
      const d = half[raw[at]! | (raw[at + 1]! << 8)]!;
      for (let j = 0; j < 16; j++) {
        const pair = raw[at + 2 + j]!;
        out[o + j] = d * ((pair & 15) - 8);
        out[o + 16 + j] = d * ((pair >> 4) - 8);
      }
    }
  },

  /** 32 values: d, m, 16 bytes of nibbles; x = d·q + m. */
  Q4_1(raw, out, blocks) {
    const half = halfValues();
    for (let b = 0, at = 0, o = 0; b < blocks; b++, at += 20, o += 32) {
      const d = half[raw[at]! | (raw[at + 1]! << 8)]!;
      const m = half[raw[at + 2]! | (raw[at + 3]! << 8)]!;
      for (let j = 0; j < 16; j++) {
        const pair = raw[at + 4 + j]!;
        out[o + j] = d * (pair & 15) + m;
        out[o + 16 + j] = d * (pair >> 4) + m;
      }
    }
  },

  /** 32 values: d, 32 fifth bits (bit i: value i), 16 bytes of nibbles; x = d·(q − 16). */
  Q5_0(raw, out, blocks) {
    const half = halfValues();
    for (let b = 0, at = 0, o = 0; b < blocks; b++, at += 22, o += 32) {
      const d = half[raw[at]! | (raw[at + 1]! << 8)]!;
      const fifth = raw[at + 2]! | (raw[at + 3]! << 8) | (raw[at + 4]! << 16) | (raw[at + 5]! << 24);
      for (let j = 0; j < 16; j++) {
        const pair = raw[at + 6 + j]!;
        out[o + j] = d * (((pair & 15) | (((fifth >> j) & 1) << 4)) - 16);
        out[o + 16 + j] = d * (((pair >> 4) | (((fifth >> (j + 16)) & 1) << 4)) - 16);
      }
    }
  },

  /** 32 values: d, m, 32 fifth bits, 16 bytes of nibbles; x = d·q + m. */
  Q5_1(raw, out, blocks) {
    const half = halfValues();
    for (let b = 0, at = 0, o = 0; b < blocks; b++, at += 24, o += 32) {
      const d = half[raw[at]! | (raw[at + 1]! << 8)]!;
      const m = half[raw[at + 2]! | (raw[at + 3]! << 8)]!;
      const fifth = raw[at + 4]! | (raw[at + 5]! << 8) | (raw[at + 6]! << 16) | (raw[at + 7]! << 24);
      for (let j = 0; j < 16; j++) {
        const pair = raw[at + 8 + j]!;
        out[o + j] = d * ((pair & 15) | (((fifth >> j) & 1) << 4)) + m;
        out[o + 16 + j] = d * ((pair >> 4) | (((fifth >> (j + 16)) & 1) << 4)) + m;
      }
    }
  },

  /** 32 values: d, 32 signed bytes; x = d·q. */
  Q8_0(raw, out, blocks) {
    const half = halfValues();
    const signed = new Int8Array(raw.buffer, raw.byteOffset, raw.byteLength);
    for (let b = 0, at = 0, o = 0; b < blocks; b++, at += 34, o += 32) {
      const d = half[raw[at]! | (raw[at + 1]! << 8)]!;
      for (let j = 0; j < 32; j++) out[o + j] = d * signed[at + 2 + j]!;
    }
  },

  /** 32 values: the scale's byte, 16 bytes of codes (low: values 0–15, high: 16–31). ggml has no negative zero. */
  MXFP4(raw, out, blocks) {
    for (let b = 0, at = 0, o = 0; b < blocks; b++, at += 17, o += 32) {
      const factor = mxfp4Factors[raw[at]!]!;
      for (let j = 0; j < 16; j++) {
        const pair = raw[at + 1 + j]!;
        out[o + j] = factor * mxfp4Values[pair & 15]! + 0;
        out[o + 16 + j] = factor * mxfp4Values[pair >> 4]! + 0;
      }
    }
  },

  /**
   * 256 values: d, m, 12 bytes with eight 6-bit scales and eight 6-bit minima, 128 bytes of nibbles. Each 32 bytes
   * hold two groups of 32 values, the low nibbles first; x = d·scale·q − m·minimum.
   */
  Q4_K(raw, out, blocks) {
    const half = halfValues();
    for (let b = 0, at = 0, o = 0; b < blocks; b++, at += 144, o += 256) {
      const d = half[raw[at]! | (raw[at + 1]! << 8)]!;
      const m = half[raw[at + 2]! | (raw[at + 3]! << 8)]!;
      for (let group = 0; group < 8; group++) {
        const step = d * scaleOf(raw, at + 4, group);
        const floor = m * minimumOf(raw, at + 4, group);
        const quants = at + 16 + (group >> 1) * 32;
        const shift = (group & 1) * 4;
        const target = o + group * 32;
        for (let j = 0; j < 32; j++) out[target + j] = step * ((raw[quants + j]! >> shift) & 15) - floor;
      }
    }
  },

  /**
   * 256 values: as Q4_K, with 32 bytes of fifth bits before the nibbles: bit `group` of byte j belongs to value j of the group.
   */
  Q5_K(raw, out, blocks) {
    const half = halfValues();
    for (let b = 0, at = 0, o = 0; b < blocks; b++, at += 176, o += 256) {
      const d = half[raw[at]! | (raw[at + 1]! << 8)]!;
      const m = half[raw[at + 2]! | (raw[at + 3]! << 8)]!;
      for (let group = 0; group < 8; group++) {
        const step = d * scaleOf(raw, at + 4, group);
        const floor = m * minimumOf(raw, at + 4, group);
        const quants = at + 48 + (group >> 1) * 32;
        const shift = (group & 1) * 4;
        const target = o + group * 32;
        for (let j = 0; j < 32; j++) {
          const q = ((raw[quants + j]! >> shift) & 15) | (((raw[at + 16 + j]! >> group) & 1) << 4);
          out[target + j] = step * q - floor;
        }
      }
    }
  },

  /**
   * 256 values: 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales (one per 16 values), d. Each half
   * of 128 values uses 64 + 32 bytes; x = d·scale·(q − 32).
   */
  Q6_K(raw, out, blocks) {
    const half = halfValues();
    const signed = new Int8Array(raw.buffer, raw.byteOffset, raw.byteLength);
    for (let b = 0, at = 0, o = 0; b < blocks; b++, at += 210, o += 256) {
      const d = half[raw[at + 208]! | (raw[at + 209]! << 8)]!;
      for (let group = 0; group < 8; group++) {
        const quarter = group & 3;
        const low = at + (group >> 2) * 64 + (quarter & 1) * 32;
        const high = at + 128 + (group >> 2) * 32;
        const lowShift = (quarter >> 1) * 4;
        const highShift = quarter * 2;
        for (let part = 0; part < 2; part++) {
          const step = d * signed[at + 192 + group * 2 + part]!;
          for (let j = part * 16; j < part * 16 + 16; j++) {
            const q = ((raw[low + j]! >> lowShift) & 15) | (((raw[high + j]! >> highShift) & 3) << 4);
            out[o + group * 32 + j] = step * (q - 32);
          }
        }
      }
    }
  },
};

// The 6-bit scale and minimum of a group of a K-quant, in the 12 bytes from `at`: groups 0–3 have whole bytes; groups 4–7 are split
// between the last four bytes and the top bits of the first eight.
const scaleOf = (raw: Uint8Array, at: number, group: number): number =>
  group < 4 ? raw[at + group]! & 63 : (raw[at + group + 4]! & 15) | ((raw[at + group - 4]! >> 6) << 4);
const minimumOf = (raw: Uint8Array, at: number, group: number): number =>
  group < 4 ? raw[at + group + 4]! & 63 : (raw[at + group + 4]! >> 4) | ((raw[at + group]! >> 6) << 4);

/** 16-bit view; copies if `raw` starts at an odd byte. */
function words(raw: Uint8Array): Uint16Array {
  const aligned = raw.byteOffset % 2 === 0 ? raw : new Uint8Array(raw);
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}
