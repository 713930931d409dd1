import type { SharedSizes } from './tensors.ts';
import { TorchGenerator } from './torch-uniform.ts';

/**
 * The projections that belong to a key: Kaiming-uniform numbers, first those of A, then those of B, equal to HF PEFT's in every bit.
 * Source: peft 0.21.2, tuners/vera/model.py (_kaiming_init, _init_vera_A_vera_B).
 */
export function drawProjections(
  key: number,
  { rank, width, out }: SharedSizes,
): { a: Float32Array; b: Float32Array } {
  const generator = new TorchGenerator(key);
  return {
    a: generator.uniform(rank * width, kaimingBound(width)),
    b: generator.uniform(out * rank, kaimingBound(rank)),
  };
}

/** In the order of PEFT's operations: the last bit counts. */
const kaimingBound = (fanIn: number): number => Math.sqrt(3) * (Math.SQRT2 / Math.sqrt(fanIn));
