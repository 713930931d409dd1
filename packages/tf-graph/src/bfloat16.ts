// bfloat16 is the upper half of a float32. Separate entry point '@graft/tf-graph/bfloat16', because it does not load TensorFlow.

type Rounder = (values: Float32Array, out: Uint16Array) => void;

let round: Rounder = inJavaScript;

/** Replaces the rounding function by one with identical results: TensorFlow's addon is faster, once it is loaded. */
export function roundBy(rounder: Rounder): void {
  round = rounder;
}

/** Rounds `values` to bfloat16 bit patterns in `out`: to nearest, ties to even, as TensorFlow, PyTorch and ggml do. */
export function toBfloat16(
  values: Float32Array,
  out: Uint16Array = new Uint16Array(values.length),
): Uint16Array {
  round(values, out);
  return out;
}

/** Bit pattern of infinity in float32; larger patterns are NaNs. */
const INFINITY = 0x7f800000;

function inJavaScript(values: Float32Array, out: Uint16Array): void {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  // Tests once for the whole array whether there is a NaN: nearly twice as fast as testing each value.
  let beyond = 0;
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i]!;
    out[i] = (x + 0x7fff + ((x >> 16) & 1)) >> 16;
    beyond |= INFINITY - (x & 0x7fffffff);
  }
  if (beyond >= 0) return;
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i]!;
    // A NaN keeps its upper half and becomes quiet, so that it cannot turn into an infinity.
    if ((x & 0x7fffffff) > INFINITY) out[i] = (x >> 16) | 0x40;
  }
}

/** Converts bfloat16 bit patterns to float32 values in `out`; exact. */
export function fromBfloat16(
  patterns: Uint16Array,
  out: Float32Array = new Float32Array(patterns.length),
): Float32Array {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < patterns.length; i++) bits[i] = patterns[i]! << 16;
  return out;
}
