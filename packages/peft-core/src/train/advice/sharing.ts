import type { BatchPlan } from '../../examples/index.ts';

/** Whether beginnings that the examples of a batch have in common are computed once. */
export interface Sharing {
  /** Share of all sequences' positions that are left out, since another sequence's are the same; 0 where nothing is shared. */
  savedFraction: number;
  /** The same for people, or why it is not so. */
  message: string;
}

/** Of the plan of a whole run. `whyNot`: what keeps it from sharing; null where it does. */
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
