/** Closed lists and limits of training and of combining, without any import: packages/wire has them for pages and the installable command. */

/** Values of `method.type` that learn from preferences, as their objectives have them. */
export const preferenceMethods: readonly string[] = ['dpo', 'orpo', 'simpo', 'kto'];

/** How adapters are combined, under the names of HF PEFT 0.21's `add_weighted_adapter`, each with its options; the default is first. */
export const combinationOptions = {
  svd: ['svd_rank'],
  linear: [],
  cat: [],
  ties: ['density', 'majority_sign_method'],
  dare_linear: ['density', 'seed'],
  dare_ties: ['density', 'majority_sign_method', 'seed'],
  magnitude_prune: ['density'],
} as const satisfies Record<string, readonly string[]>;
export type CombinationType = keyof typeof combinationOptions;
export const combinationTypes = Object.keys(combinationOptions) as CombinationType[];

export const COMBINED_ADAPTERS = { least: 2, most: 16 } as const;

/**
 * `concat`: each epoch has every file `epochs` times. `interleave_under`, `interleave_over`: each epoch has the files in proportion to
 * their weights; it ends when the first file, or when every file, has been seen completely. The names are those of other tools.
 */
export const mixStrategies = ['concat', 'interleave_under', 'interleave_over'] as const;
export type MixStrategy = (typeof mixStrategies)[number];

/** Maximum number of training files, and of validation files, of a job. */
export const MAX_DATA_FILES = 16;
