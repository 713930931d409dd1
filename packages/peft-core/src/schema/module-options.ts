import { configFault, type Fault, show } from './check-fields.ts';
import { matchingSteps, patternFaults } from './module-pattern.ts';

/** Options that name modules; a string is a regular expression. PEFT puts the names of modules_to_save into one as they are. */
export const MODULE_OPTIONS = ['target_modules', 'exclude_modules', 'feedforward_modules', 'modules_to_save'];

/** Options whose values, or keys, are regular expressions that a check against a model matches with names in it. */
const PATTERN_OPTIONS = [...MODULE_OPTIONS, 'trainable', 'layers_pattern', 'rank_pattern', 'alpha_pattern'];

/** A fault for each regular expression among a config's module options that cannot be used. */
export function modulePatternFaults(given: Record<string, unknown>): Fault[] {
  return MODULE_OPTIONS.flatMap((option) => usableFaults(option, patternsOf(option, given[option])));
}

/** The faults of an option's regular expressions; `within` makes the expression that one becomes a part of. */
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

/** The option whose regular expressions take most steps to match with texts of so many characters, and the steps of all. */
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

/** What of an option's value is a regular expression. Lists of names are none, but where PEFT makes them a part of one. */
function patternsOf(option: string, value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) {
    return option === 'modules_to_save' || option === 'layers_pattern' ? (value as string[]) : [];
  }
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}
