// bfloat16 is the upper half of a float32. Loads no TensorFlow, so it is an entry point of its own: '@graft/tf-graph/bfloat16'.

type Rounder = (values: Float32Array, out: Uint16Array) => void;

let round: Rounder = inJavaScript;

/** Has values rounded by `rounder` from now on, to the same bits: TensorFlow's addon is faster, once it is loaded. */
export function roundBy(rounder: Rounder): void {
  round = rounder;
}

/** Bit patterns of `values` in bfloat16, written to `out`: to nearest, ties to even, as TensorFlow, PyTorch and ggml round. */
export function toBfloat16(
  values: Float32Array,
  out: Uint16Array = new Uint16Array(values.length),
): Uint16Array {
  round(values, out);
  return out;
}

/** The bits of an infinity in float32: above them are NaNs alone. */
const INFINITY = 0x7f800000;

function inJavaScript(values: Float32Array, out: Uint16Array): void {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  // Whether there is a NaN is asked once for all: nearly twice as fast as for each.
  let beyond = 0;
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i]!;
    out[i] = (x + 0x7fff + ((x >> 16) & 1)) >> 16;
    beyond |= INFINITY - (x & 0x7fffffff);
  }
  if (beyond >= 0) return;
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i]!;
    // A NaN keeps its upper half, made quiet so that it cannot become an infinity.
    if ((x & 0x7fffffff) > INFINITY) out[i] = (x >> 16) | 0x40;
  }
}

/** The float32 values of bfloat16 bit patterns, written to `out`; exact. */
export function fromBfloat16(
  patterns: Uint16Array,
  out: Float32Array = new Float32Array(patterns.length),
): Float32Array {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < patterns.length; i++) bits[i] = patterns[i]! << 16;
  return out;
}
