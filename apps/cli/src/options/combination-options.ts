import type { CombineAdapters } from '@graft/client';
import { type CombinationType, combinationTypes } from '@graft/wire/lists';
import { type Command, Option } from 'commander';
import { UsageError } from '../errors.ts';
import { anyNumber, given, numberWithin, wholeNumber, words } from './arguments.ts';

/** The options of a combination, under commander's names. */
export interface CombinationOptions {
  weights?: number[];
  combinationType?: CombinationType;
  svdRank?: number;
  density?: number;
  majoritySignMethod?: NonNullable<CombineAdapters['majority_sign_method']>;
  seed?: number;
}

/** Adds the options under which adapters are combined, with a service or on this machine. */
export const combinationOptions = <C extends Command>(command: C): C =>
  command
    .option('--weights <list>', 'factor of each adapter, such as 0.7,0.3 (default: 1 each)', (text: string) =>
      words(text).map(anyNumber),
    )
    .addOption(
      new Option('--combination-type <type>', 'how they are combined')
        .choices(combinationTypes)
        .default('svd'),
    )
    .option(
      '--svd-rank <n>',
      'svd: rank of the result (default: the largest of the adapters)',
      wholeNumber(1),
    )
    .option(
      '--density <share>',
      'all but svd, cat and linear: share of the numbers that is kept',
      numberWithin(0, 1),
    )
    .addOption(
      new Option('--majority-sign-method <method>', 'ties and dare_ties: how a sign is elected').choices([
        'total',
        'frequency',
      ]),
    )
    .option('--seed <n>', 'dare_linear and dare_ties: seed of the random choice', wholeNumber(0)) as C;

/** The options under their names in the API, without those that are not given. */
export function combinationOf(options: CombinationOptions) {
  const { combinationType, svdRank, density, majoritySignMethod, seed } = options;
  return {
    combination_type: combinationType ?? 'svd',
    ...given({ svd_rank: svdRank, density, majority_sign_method: majoritySignMethod, seed }),
  };
}

/** A weight for each of `count` adapters. Throws UsageError if `--weights` has another number. */
export function weightsOf({ weights }: CombinationOptions, count: number): number[] {
  if (weights === undefined) return Array<number>(count).fill(1);
  if (weights.length === count) return weights;
  throw new UsageError(`--weights has ${weights.length} and there are ${count} adapters: give one for each.`);
}
