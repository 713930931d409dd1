/**
 * Half-precision floats (F16), stored as bit patterns in a Uint16Array. All typed-array views of this package assume a little-endian
 * machine, as safetensors and GGUF do; all platforms of TensorFlow are little-endian.
 */

/** Bits of the float32 that equals half-precision `bits` (IEEE 754 binary16). NaN payloads are kept. */
function halfBitsToFloatBits(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return (sign | 0x7f800000 | (fraction << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  if (fraction === 0) return sign >>> 0;
  // Subnormal: fraction · 2⁻²⁴. Its leading bit becomes float32's implicit one.
  const shift = Math.clz32(fraction) - 21;
  return (sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)) >>> 0;
}

let halfTable: Float32Array | null = null;

/** Value of each of the 65,536 half-precision patterns (256 KiB, created at first use). */
export function halfValues(): Float32Array {
  if (!halfTable) {
    const bits = Uint32Array.from({ length: 65536 }, (_, half) => halfBitsToFloatBits(half));
    halfTable = new Float32Array(bits.buffer);
  }
  return halfTable;
}

/** F16 → F32, exact. */
export function float16ToFloat32(source: Uint16Array, target: Float32Array): void {
  // Copies bit patterns: copying a NaN as a number may change its payload.
  const values = new Uint32Array(halfValues().buffer);
  const out = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) out[i] = values[source[i]!]!;
}

export const largestFloat16 = 65_504;

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** F32 → F16, to nearest, ties to even, as bit patterns. Finite values that round beyond `largestFloat16` become infinite. */
export function toFloat16(values: Float32Array): Uint16Array {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = toHalf(values[i]!);
  return out;
}

/** The bit pattern of the half-precision value nearest to `value`, as `toFloat16`. */
export function toHalf(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fff_ffff;
  if (size > 0x7f80_0000) return sign | 0x7e00;
  if (size >= 0x477f_f000) return sign | 0x7c00;
  if (size >= 0x3880_0000) return sign | ((size - 0x3800_0000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
  // Subnormal: adding 0.5 moves the value's last half-precision digit to float32's last one, which rounds it.
  scratch[0] = Math.abs(value) + 0.5;
  return sign | (scratchBits[0]! - 0x3f00_0000);
}
