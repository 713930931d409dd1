import type { ModelOutline } from '../outlines/outline.ts';
import { storedWeights } from './base-storage.ts';
import { dequantiseInt8, quantiseInt8 } from './quantise/int8.ts';
import { dequantiseNf4, quantiseNf4 } from './quantise/nf4.ts';

/**
 * Returns a function that quantises and unpacks a base model's weight, by parameter name: its result is the float32 values that training
 * on a base in `dtype` reads. Weights that are not quantised in such training are returned unchanged.
 */
export function dequantised(
  outline: ModelOutline,
  dtype: 'int8' | 'nf4',
): (name: string, values: Float32Array) => Float32Array {
  const stored = new Map(storedWeights(outline, dtype, false).map((weight) => [weight.name, weight]));
  return (name, values) => {
    const weight = stored.get(outline.aliases[name] ?? name);
    if (weight?.storage === 'nf4') return dequantiseNf4(quantiseNf4(values), values.length);
    if (weight?.storage !== 'int8') return values;
    const { shape, transposed } = weight;
    return dequantiseInt8(quantiseInt8(values, shape, transposed), shape, transposed);
  };
}
