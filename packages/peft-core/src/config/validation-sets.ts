/** Validation sets: several validation files of one job, each with its own curves. */
import { GraftError } from '../errors.ts';

export interface ValidationSet {
  /** Its name in the names of its metrics, `eval_<name>_loss`. */
  name: string;
  examples: number;
}

const NAME = /^[a-z0-9][a-z0-9_]{0,30}[a-z0-9]$|^[a-z0-9]$/;
/** Rule of `name`, for messages. */
export const SET_NAME_RULE = 'has 1 to 32 of a-z, 0-9 and _, and begins and ends with a letter or digit';

/**
 * The names of validation sets: those given, else from the file names, `legal-test.jsonl` as `legal_test`. Throws
 * `invalid_validation_file_name` for a name that is given twice or not allowed; `param` is that of the file.
 */
export function namesOfSets(
  files: readonly { name?: string | null | undefined; filename: string }[],
): string[] {
  const taken = new Set<string>();
  for (const [i, { name }] of files.entries()) {
    if (name === undefined || name === null) continue;
    if (!NAME.test(name)) throw invalid(i, `"${name.slice(0, 64)}" is no name: it ${SET_NAME_RULE}`);
    if (taken.has(name))
      throw invalid(i, `"${name}" is the name of another validation file; give each its own`);
    taken.add(name);
  }
  return files.map(({ name, filename }) => {
    if (name !== undefined && name !== null) return name;
    const stem = filename
      .replace(/^.*[/\\]/, '')
      .replace(/\..*$/, '')
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '_')
      .slice(0, 28)
      .replaceAll(/^_+|_+$/g, '');
    let free = stem || 'set';
    for (let number = 2; taken.has(free); number++) free = `${stem || 'set'}_${number}`;
    taken.add(free);
    return free;
  });
}

function invalid(index: number, message: string): GraftError {
  const param = `validation_files[${index}].name`;
  return new GraftError('invalid_validation_file_name', `${param}: ${message}`, { param });
}
