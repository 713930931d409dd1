import { combinationOptions } from '../../../lists.ts';
import type { Random } from '../../../random.ts';
import type { Combination } from '../../../schema/combination.ts';

// Source: peft 0.21.2, utils/merge_utils.py. Sums are in float64.

/** The same matrix of several adapters, with the weight of each. */
export interface WeightedMatrix {
  values: Float32Array;
  weight: number;
  /** Draws the numbers that are dropped. */
  random: Random;
}

/** Combines matrices number by number, for all types but `svd` and `cat`. */
export function combineNumbers(
  matrices: readonly WeightedMatrix[],
  { combination_type: type, density = 1, majority_sign_method: signs = 'total' }: Combination,
): Float32Array {
  const options: readonly string[] = combinationOptions[type];
  const byChance = options.includes('seed');
  const pruned = matrices.map(({ values, weight, random }) => {
    if (type === 'linear' || density >= 1) return { values, weight };
    return { values: byChance ? randomPart(values, density, random) : largestPart(values, density), weight };
  });
  return options.includes('majority_sign_method') ? disjointMean(pruned, signs) : weightedSum(pruned);
}

type Weighted = Pick<WeightedMatrix, 'values' | 'weight'>;

function weightedSum(matrices: readonly Weighted[]): Float32Array {
  const sum = new Float64Array(matrices[0]!.values.length);
  for (const { values, weight } of matrices)
    for (let i = 0; i < sum.length; i++) sum[i]! += weight * values[i]!;
  return Float32Array.from(sum);
}

/**
 * The mean of the weighted numbers whose sign, before weighting, is the elected one; a number that no adapter has with this sign is 0.
 * Source: Yadav et al. 2023, arXiv:2306.01708.
 */
function disjointMean(matrices: readonly Weighted[], signs: 'total' | 'frequency'): Float32Array {
  const { length } = matrices[0]!.values;
  const mean = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let votes = 0;
    for (const { values } of matrices) votes += signs === 'total' ? values[i]! : Math.sign(values[i]!);
    const elected = votes >= 0 ? 1 : -1;
    let [sum, count] = [0, 0];
    for (const { values, weight } of matrices) {
      if (Math.sign(values[i]!) !== elected) continue;
      sum += weight * values[i]!;
      count++;
    }
    mean[i] = sum / Math.max(count, 1);
  }
  return mean;
}

/** The `density` of the numbers that are largest in magnitude, at their places, and zeros. Of equal ones the first are kept. */
export function largestPart(values: Float32Array, density: number): Float32Array {
  const kept = Math.floor(density * values.length);
  const part = new Float32Array(values.length);
  if (kept === 0) return part;
  const magnitudes = values.map(Math.abs).sort();
  const least = magnitudes[values.length - kept]!;
  let equal = kept;
  for (const value of values) if (Math.abs(value) > least) equal--;
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i]!);
    if (magnitude > least || (magnitude === least && equal-- > 0)) part[i] = values[i]!;
  }
  return part;
}

/** Each number with the probability `density`, divided by it, so that the expected sum is unchanged. Source: arXiv:2311.03099. */
export function randomPart(values: Float32Array, density: number, random: Random): Float32Array {
  return values.map((value) => (random.uniform() < density ? value / density : 0));
}
