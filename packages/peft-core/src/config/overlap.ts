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

/** Training examples of several files that occur again, word for word, with all their fields. */
export interface Duplicates {
  /** Number of examples that occur before in the same file. */
  within: number;
  /** Number of other examples that occur before in another file. */
  across: number;
  /** False if the files have too many examples to look up each: the counts are then estimates from a sample. */
  exact: boolean;
}

/** Maximum number of columns in a remark. */
const MAX_COLUMNS = 10;

/** Remark about columns of data files that no example reads, for the owner of a job; null without any. `param`: their file. */
export function unreadRemark(
  columns: readonly { param: string; name: string; values?: number }[],
): string | null {
  if (columns.length === 0) return null;
  const shown = columns.slice(0, MAX_COLUMNS).map(({ param, name, values }) => {
    const some = values === undefined ? '' : ` (${values} value${values === 1 ? '' : 's'})`;
    return `${JSON.stringify(name)} of ${param}${some}`;
  });
  const more = columns.length > shown.length ? ` and ${columns.length - shown.length} more` : '';
  return `columns that are not read: ${shown.join(', ')}${more}; rename those that belong to the examples, or map them with training.columns`;
}

/** Remark about duplicates for the owner of a job with `examples` training examples; null without duplicates. */
export function duplicatesRemark({ within, across, exact }: Duplicates, examples: number): string | null {
  const all = Math.min(examples, within + across);
  if (all === 0) return null;
  const about = exact ? '' : 'about ';
  return `${about}${all} of ${examples} training examples occur more than once, ${about}${across} of them in another file: they count more than their file's share`;
}
