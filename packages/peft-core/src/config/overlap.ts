/** Validation examples that also occur in the training data. */
export interface Overlap {
  /** Number of validation examples with the prompt of a training example; `promptOf` defines prompts. */
  prompts: number;
  /** Number of these that also have the same answer or label. */
  identical: number;
  /** False if the training file has too many prompts to look up each: the counts are then estimates from a sample. */
  exact: boolean;
}

/** Warning about an overlap for the owner of a job with `examples` validation examples; null without overlap. */
export function overlapRemark({ prompts, identical, exact }: Overlap, examples: number): string | null {
  if (prompts === 0 && identical === 0) return null;
  const about = exact ? '' : 'about ';
  const same = Math.min(examples, Math.max(prompts, identical));
  return `${about}${same} of ${examples} validation examples have the prompt of a training example, ${Math.min(same, identical)} of them word for word the same example: the validation loss looks better than it is`;
}
