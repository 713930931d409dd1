import { readSync } from 'node:fs';
import type { SafetensorsEntry, SafetensorsType } from '../safetensors/safetensors-header.ts';
import { halfValues } from '../tensors/float16.ts';

/** The types that weights may be stored in. */
export const weightTypes = ['F32', 'F16', 'BF16', 'F64'] as const;
type WeightType = (typeof weightTypes)[number];

export function isWeightType(dtype: SafetensorsType): dtype is WeightType {
  return (weightTypes as readonly string[]).includes(dtype);
}

/** Number of bytes checked at a time, so that the whole tensor is never in memory. */
const chunkBytes = 1 << 20;

const largestFloat32 = 3.4028234663852886e38;

/** Returns the first value in `bytes` that is not finite in float32, with its position; null if there is none. */
const looks: Record<WeightType, (bytes: ArrayBuffer, count: number) => { at: number; value: number } | null> =
  {
    F32: (bytes, count) => {
      const bits = new Uint32Array(bytes, 0, count);
      // All bits of the exponent are set: infinity or NaN.
      const at = bits.findIndex((each) => (each & 0x7f800000) === 0x7f800000);
      return at < 0 ? null : { at, value: new Float32Array(bytes)[at]! };
    },
    F16: (bytes, count) => {
      const bits = new Uint16Array(bytes, 0, count);
      const at = bits.findIndex((each) => (each & 0x7c00) === 0x7c00);
      return at < 0 ? null : { at, value: halfValues()[bits[at]!]! };
    },
    BF16: (bytes, count) => {
      const bits = new Uint16Array(bytes, 0, count);
      const at = bits.findIndex((each) => (each & 0x7f80) === 0x7f80);
      return at < 0 ? null : { at, value: new Float32Array(Uint32Array.of(bits[at]! << 16).buffer)[0]! };
    },
    F64: (bytes, count) => {
      const values = new Float64Array(bytes, 0, count);
      // Also false for NaN.
      const at = values.findIndex((each) => !(Math.abs(each) <= largestFloat32));
      return at < 0 ? null : { at, value: values[at]! };
    },
  };

const widths: Record<WeightType, number> = { F32: 4, F16: 2, BF16: 2, F64: 8 };

/** The first value of a tensor that is not finite in float32, in which models compute; null if all are finite. */
export function findNonFinite(
  handle: number,
  { dtype, position, bytes }: SafetensorsEntry,
): { position: number; value: number } | null {
  if (!isWeightType(dtype)) return null;
  const look = looks[dtype];
  const width = widths[dtype];
  const chunk = new Uint8Array(Math.min(bytes, chunkBytes));
  for (let start = 0; start < bytes; start += chunk.length) {
    const length = Math.min(chunk.length, bytes - start);
    for (let done = 0; done < length; ) {
      const count = readSync(handle, chunk, done, length - done, position + start + done);
      if (count === 0) throw new Error('the file became shorter while it was read');
      done += count;
    }
    const found = look(chunk.buffer, length / width);
    if (found) return { position: start / width + found.at, value: found.value };
  }
  return null;
}
