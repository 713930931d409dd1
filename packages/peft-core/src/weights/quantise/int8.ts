/** Weights in 8 bits: `weight = code · scale`, one scale for each output. */
export interface Int8Weights {
  codes: Int8Array;
  /** The largest absolute value of each output, divided by 127. */
  scales: Float32Array;
}

/**
 * Quantises a matrix `(out, in)`, or `(in, out)` if `transposed`, symmetrically by output. The error of a value is at most half a
 * scale. An embedding's outputs are its rows. Matrices of experts `(E, out, in)` have a scale for each output of each. Ties round to the even code, as in bitsandbytes' `int8_vectorwise_quant`.
 */
export function quantiseInt8(
  weights: Float32Array,
  shape: readonly number[],
  transposed: boolean,
): Int8Weights {
  const columns = shape.at(-1)!;
  const rows = weights.length / columns;
  const maxima = new Float32Array(transposed ? columns : rows);
  const outputOf = transposed ? (_row: number, column: number) => column : (row: number) => row;
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) {
      const output = outputOf(row, column);
      maxima[output] = Math.max(maxima[output]!, Math.abs(weights[i]!));
    }
  }
  const factors = maxima.map((x) => (x === 0 ? 0 : 127 / x));
  const codes = new Int8Array(weights.length);
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) {
      codes[i] = roundToEven(Math.fround(weights[i]! * factors[outputOf(row, column)]!));
    }
  }
  return { codes, scales: maxima.map((x) => x / 127) };
}

/** The float32 values of int8 weights of `shape`. */
export function dequantiseInt8(
  { codes, scales }: Int8Weights,
  shape: readonly number[],
  transposed: boolean,
): Float32Array {
  const columns = shape.at(-1)!;
  const values = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++)
    values[i] = codes[i]! * scales[transposed ? i % columns : Math.floor(i / columns)]!;
  return values;
}

/** At 1.5 · 2²³ a float32 has no fractional bits, so adding this number rounds to an integer. */
const WHOLE = 12_582_912;
const roundToEven = (x: number) => Math.fround(x + WHOLE) - WHOLE;
