// bfloat16 is the upper half of a float32. Rounding is to nearest, ties to even, as TensorFlow and PyTorch do.

/** Bit patterns of `values` rounded to bfloat16, written to `out`. */
export function toBfloat16(values: Float32Array, out = new Uint16Array(values.length)): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i]!;
    // A NaN keeps its upper half, made quiet so that it cannot become an infinity.
    out[i] = (x & 0x7fffffff) > 0x7f800000 ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
  return out;
}

/** The float32 values of bfloat16 bit patterns; exact. */
export function fromBfloat16(patterns: Uint16Array): Float32Array {
  const bits = new Uint32Array(patterns.length);
  for (let i = 0; i < bits.length; i++) bits[i] = patterns[i]! << 16;
  return new Float32Array(bits.buffer);
}
