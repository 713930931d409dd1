import { type Static, Type } from 'typebox';
import { combinationOptions, combinationTypes } from '../lists.ts';
import type { Fault } from './check-fields.ts';

/** Maximum absolute weight of an adapter in a combination. */
export const MAX_COMBINATION_WEIGHT = 100;

/** The options of a combination. Those that its type does not use must be absent. */
export const CombinationSchema = Type.Object({
  combination_type: Type.Enum([...combinationTypes], {
    type: 'string',
    default: 'svd',
    description:
      '"svd": the best approximation of the weighted sum of the updates with svd_rank. "cat": the exact sum, of which the rank is the sum of all ranks. "linear": weighted sums of each factor, which is not the sum of the updates for adapters that were trained apart; needs equal ranks. "ties", "dare_linear", "dare_ties", "magnitude_prune": the same with only part of the numbers.',
  }),
  svd_rank: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 4096,
      description: 'With svd: rank of the new version. Default: the largest rank of the adapters.',
    }),
  ),
  density: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      description:
        'Share of the numbers of each matrix that is kept: the largest (ties, magnitude_prune) or random ones (dare_linear, dare_ties). These types require it.',
    }),
  ),
  majority_sign_method: Type.Optional(
    Type.Enum(['total', 'frequency'], {
      type: 'string',
      description:
        'With ties and dare_ties: a number gets the sign of the sum of the adapters’ numbers ("total", the default), or the sign that most of them have ("frequency").',
    }),
  ),
  seed: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 2 ** 31 - 1,
      description: 'With dare_linear and dare_ties: seed of the random choice. Default: 0.',
    }),
  ),
});
export type Combination = Static<typeof CombinationSchema>;

/** Options that are missing, or that have no effect with this type. */
export function combinationFaults(given: Combination): Fault[] {
  const { combination_type: type } = given;
  const faults: Fault[] = [];
  const add = (path: string, message: string) => faults.push({ code: 'invalid_value', path, message });
  const has = (each: keyof typeof combinationOptions, option: string) =>
    (combinationOptions[each] as readonly string[]).includes(option);
  if (has(type, 'density') && given.density === undefined)
    add(
      'density',
      `is needed with combination_type ${type}: the share of the numbers that is kept, such as 0.5`,
    );
  for (const option of ['svd_rank', 'density', 'majority_sign_method', 'seed'] as const) {
    if (given[option] === undefined || has(type, option)) continue;
    const types = combinationTypes.filter((each) => has(each, option)).join(', ');
    add(option, `has no effect with combination_type ${type}, only with ${types}`);
  }
  return faults;
}
