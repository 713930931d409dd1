import { configFault, type Fault, show } from './check-fields.ts';
import { patternFault } from './module-pattern.ts';

/** Options that name modules; a string is a regular expression. PEFT puts the names of modules_to_save into one as they are. */
const MODULE_OPTIONS = ['target_modules', 'exclude_modules', 'feedforward_modules', 'modules_to_save'];

/** A fault for each regular expression among a config's module options that cannot be used. */
export function modulePatternFaults(given: Record<string, unknown>): Fault[] {
  return MODULE_OPTIONS.flatMap((option) => {
    const value = given[option];
    const patterns =
      typeof value === 'string' ? [value] : option === 'modules_to_save' ? ((value ?? []) as string[]) : [];
    return patterns.flatMap((pattern) => usableFault(option, pattern));
  });
}

/** The fault of one pattern, if it has one; `within` is the expression it becomes a part of. */
export function usableFault(option: string, pattern: string, within = pattern): Fault[] {
  const fault = patternFault(pattern, within);
  return fault ? [configFault(option, `${show(pattern)} ${fault}`)] : [];
}
