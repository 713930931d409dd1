/** Validation examples that training has, too. */
export interface Overlap {
  /** With the prompt of a training example, which `promptOf` describes. */
  prompts: number;
  /** Of these, with the same answer or label, too. */
  identical: number;
  /** False where the training file has too many prompts to look up one by one: the counts are then estimates by a sample. */
  exact: boolean;
}

/** What the owner of a job should know of an overlap, of so many validation examples; null without one. */
export function overlapRemark({ prompts, identical, exact }: Overlap, examples: number): string | null {
  if (prompts === 0 && identical === 0) return null;
  const about = exact ? '' : 'about ';
  const same = Math.min(examples, Math.max(prompts, identical));
  return `${about}${same} of ${examples} validation examples have the prompt of a training example, ${Math.min(same, identical)} of them word for word the same example: the validation loss looks better than it is`;
}
