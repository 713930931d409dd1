import { tf } from '@graft/tf-graph';
import { dropout } from '../../nn/dropout.ts';
import { trainedProduct } from '../../nn/linear.ts';
import type { LinearWrapper } from '../tuner.ts';

/**
 * `base(x) + scale · (dropout(x) Aᵀ) Bᵀ` with A `(r, in)` and B `(out, r)`.
 * Source: Hu et al. 2021, arXiv:2106.09685; peft, tuners/lora/layer.py (Linear.forward).
 */
export function loraLinear(
  aName: string,
  bName: string,
  scale: number,
  dropoutProbability: number,
): LinearWrapper {
  return ({ parameter, random }, x, base) => {
    const input = random ? dropout(x, dropoutProbability, random) : x;
    // The scale goes to the narrow product (N, r), not the wide one.
    const down = tf.mul(trainedProduct(input, parameter(aName)), scale);
    return tf.add(base(x), trainedProduct(down, parameter(bName)));
  };
}

/** `scale · B A`, `(out, in)` row by row: what LoRA adds to a weight. Accumulates in float64. */
export function loraDelta(a: Float32Array, b: Float32Array, rank: number, scale: number): Float32Array {
  const width = a.length / rank;
  const out = b.length / rank;
  const delta = new Float32Array(out * width);
  const row = new Float64Array(width);
  for (let o = 0; o < out; o++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = b[o * rank + k]! * scale;
      for (let i = 0; i < width; i++) row[i]! += factor * a[k * width + i]!;
    }
    delta.set(row, o * width);
  }
  return delta;
}
