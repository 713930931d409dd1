import { configFault, type Fault, show } from './check-fields.ts';
import { layerNumberPattern, matchingSteps, patternFaults } from './module-pattern.ts';

/** Options that name modules; a string is a regular expression. PEFT inserts the names of modules_to_save into one unescaped. */
export const MODULE_OPTIONS = ['target_modules', 'exclude_modules', 'feedforward_modules', 'modules_to_save'];

/** Options whose values or keys are regular expressions that are matched with names in a model. */
const PATTERN_OPTIONS = [...MODULE_OPTIONS, 'trainable', 'layers_pattern', 'rank_pattern', 'alpha_pattern'];

/** A fault for each unusable regular expression in a config's module options. */
export function modulePatternFaults(given: Record<string, unknown>): Fault[] {
  return MODULE_OPTIONS.flatMap((option) => usableFaults(option, patternsOf(option, given[option])));
}

/** The faults of an option's regular expressions; `within` builds the expression that one is inserted into. */
export function usableFaults(
  option: string,
  patterns: string[],
  within?: (pattern: string) => string,
): Fault[] {
  const faults: Fault[] = [];
  for (const { pattern, reason } of patternFaults(patterns, within)) {
    faults.push(configFault(option, `${show(pattern)} ${reason}`));
  }
  return faults;
}

/** The option whose regular expressions take the most steps to match with `characters` characters, and the steps of all options. */
export function patternSteps(
  config: Record<string, unknown>,
  characters: number,
): { option: string; steps: number } {
  let [worst, most, steps] = ['', 0, 0];
  for (const option of PATTERN_OPTIONS) {
    const own = patternsOf(option, config[option]).reduce(
      (sum, pattern) => sum + matchingSteps(pattern, characters),
      0,
    );
    steps += own;
    if (own > most) [worst, most] = [option, own];
  }
  return { option: worst, steps };
}

/** The regular expressions in an option's value. Lists of names are not, unless PEFT inserts them into one. */
function patternsOf(option: string, value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) {
    return option === 'modules_to_save' || option === 'layers_pattern' ? (value as string[]) : [];
  }
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}

/** Violations of HF PEFT's rules between the options that select layers, and unusable regular expressions of these and of ranks. */
export function layerFaults(given: Record<string, unknown>): Fault[] {
  const faults: Fault[] = [];
  const layers = given.layers_to_transform ?? null;
  const patterns = [(given.layers_pattern as string | string[] | null) ?? []].flat();
  if (typeof given.target_modules === 'string') {
    if (layers !== null) faults.push(configFault('layers_to_transform', 'needs target_modules to be a list'));
    if ((given.layers_pattern ?? null) !== null)
      faults.push(configFault('layers_pattern', 'needs target_modules to be a list'));
  }
  if (patterns.length > 0 && layers === null)
    faults.push(configFault('layers_pattern', 'needs layers_to_transform'));
  faults.push(...usableFaults('layers_pattern', patterns, layerNumberPattern));
  for (const field of ['rank_pattern', 'alpha_pattern'])
    faults.push(...usableFaults(field, Object.keys((given[field] as object | undefined) ?? {})));
  return faults;
}
