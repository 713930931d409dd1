import type { MatrixTarget } from './targets.ts';

/** `B A` in the weight's storage order: `(out, width)`, or `(width, out)` if transposed. Accumulates in float64. */
export function lowRankProduct(
  b: Float32Array,
  a: Float32Array,
  { width, out, transposed }: Pick<MatrixTarget, 'width' | 'out' | 'transposed'>,
): Float32Array {
  const rank = a.length / width;
  const product = new Float32Array(out * width);
  const row = new Float64Array(width);
  for (let o = 0; o < out; o++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = b[o * rank + k]!;
      for (let i = 0; i < width; i++) row[i]! += factor * a[k * width + i]!;
    }
    if (transposed) for (let i = 0; i < width; i++) product[i * out + o] = row[i]!;
    else product.set(row, o * width);
  }
  return product;
}
