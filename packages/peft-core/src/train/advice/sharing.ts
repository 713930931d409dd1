import type { BatchPlan } from '../../examples/index.ts';

/** Saving from common prefixes of the examples in a batch, which are computed once. */
export interface Sharing {
  /** Share of all positions that are skipped because another sequence has the same; 0 without sharing. */
  savedFraction: number;
  /** The same as a sentence, or the reason why prefixes are not shared. */
  message: string;
}

/** Describes prefix sharing in the plan of a whole run. `whyNot`: the reason that prevents sharing; null where prefixes are shared. */
export function sharingOf(
  { sequences, positions, savedPositions }: BatchPlan['stats'],
  whyNot: string | null,
): Sharing {
  const beginnings = 'What the examples of a batch begin with in common';
  if (whyNot !== null) return { savedFraction: 0, message: `${beginnings} is not shared: ${whyNot}.` };
  if (savedPositions === 0)
    return { savedFraction: 0, message: `${beginnings} would be computed once, but it is too little.` };
  const each = (count: number) => Math.round(count / sequences).toLocaleString('en-US');
  return {
    savedFraction: savedPositions / positions,
    message: `${beginnings} is computed once, which saves ${each(savedPositions)} of ${each(positions)} tokens a sequence.`,
  };
}
