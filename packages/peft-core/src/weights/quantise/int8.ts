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
  const codes = new Int8Array(weights.length);
  const scales = new Float32Array(transposed ? columns : weights.length / columns);
  if (transposed) {
    raiseMaxima(weights, scales);
    quantiseColumns(weights, scales, codes);
    toScales(scales);
  } else {
    quantiseRows(weights, columns, codes, scales);
  }
  return { codes, scales };
}

/** Quantises whole rows, each of which is an output, into `codes` and `scales`. */
export function quantiseRows(
  weights: Float32Array,
  columns: number,
  codes: Int8Array,
  scales: Float32Array,
): void {
  for (let start = 0, row = 0; start < weights.length; start += columns, row++) {
    let largest = 0;
    for (let i = start; i < start + columns; i++) largest = Math.max(largest, Math.abs(weights[i]!));
    const factor = factorOf(largest);
    for (let i = start; i < start + columns; i++) codes[i] = roundToEven(Math.fround(weights[i]! * factor));
    scales[row] = largest / 127;
  }
}

/** Raises each column's largest absolute value to that of whole rows. */
export function raiseMaxima(weights: Float32Array, maxima: Float32Array): void {
  for (let start = 0; start < weights.length; start += maxima.length)
    for (let column = 0; column < maxima.length; column++)
      maxima[column] = Math.max(maxima[column]!, Math.abs(weights[start + column]!));
}

/** Quantises whole rows, whose columns are outputs with these largest absolute values. */
export function quantiseColumns(weights: Float32Array, maxima: Float32Array, codes: Int8Array): void {
  const factors = maxima.map(factorOf);
  for (let start = 0; start < weights.length; start += maxima.length)
    for (let column = 0; column < maxima.length; column++)
      codes[start + column] = roundToEven(Math.fround(weights[start + column]! * factors[column]!));
}

/** Replaces largest absolute values by scales. */
export function toScales(maxima: Float32Array): void {
  for (let i = 0; i < maxima.length; i++) maxima[i]! /= 127;
}

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

const factorOf = (largest: number): number => (largest === 0 ? 0 : Math.fround(127 / largest));

/** At 1.5 · 2²³ a float32 has no fractional bits, so adding this number rounds to an integer. */
const WHOLE = 12_582_912;
const roundToEven = (x: number) => Math.fround(x + WHOLE) - WHOLE;
