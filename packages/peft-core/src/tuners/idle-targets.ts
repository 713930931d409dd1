import type { ModelOutline } from '../outlines/outline.ts';
import { optionError } from '../schema/check-fields.ts';
import { fullMatch, matchesEnd } from '../schema/module-pattern.ts';
import { isNamed, lastPart, notFoundError, type TargetOptions, transposedTargets } from './target-modules.ts';

/**
 * Refuses names in a request that match nothing in this model: one mistyped name among correct ones, which HF PEFT
 * ignores. Throws `target_modules_not_found`, `invalid_peft_config`.
 */
export function checkTargetNames(options: TargetOptions, model: ModelOutline): void {
  const { modules, layers, encoderLayers = 0 } = model;
  for (const option of ['target_modules', 'exclude_modules'] as const) {
    const given = options[option] ?? null;
    if (!Array.isArray(given)) continue;
    for (const entry of given)
      if (!modules.some(({ name }) => isNamed(name, entry))) throw notFoundError(option, entry, modules);
  }
  const excluded = options.exclude_modules;
  if (typeof excluded === 'string' && !modules.some(({ name }) => fullMatch(excluded, name)))
    throw optionError(
      'exclude_modules',
      `"${excluded}" is a regular expression for whole paths and matches none; names go into a list`,
    );
  const depth = Math.max(layers, encoderLayers);
  const stray = [options.layers_to_transform ?? []].flat().find((layer) => layer >= depth);
  if (stray !== undefined)
    throw optionError('layers_to_transform', `there is no layer ${stray}; layers are 0 to ${depth - 1}`);
}

/** Refuses `fan_in_fan_out: true` if the weights of the modules `names` are not transposed. */
export function checkTransposed(
  config: { fan_in_fan_out?: boolean },
  names: string[],
  model: ModelOutline,
): void {
  if (config.fan_in_fan_out && !transposedTargets(names, model))
    throw optionError(
      'fan_in_fan_out',
      'true is for weights that are stored as (in, out), and those of target_modules are not; leave it out',
    );
}

/** Refuses keys of rank_pattern and alpha_pattern that match none of the adapted modules `names`. */
export function checkPatterns(
  config: { rank_pattern?: Record<string, number>; alpha_pattern?: Record<string, number> },
  names: string[],
): void {
  for (const option of ['rank_pattern', 'alpha_pattern'] as const)
    for (const key of Object.keys(config[option] ?? {}))
      if (!names.some((name) => matchesEnd(key, name)))
        throw optionError(
          option,
          `"${key}" matches none of the adapted modules, which are ${lastParts(names)}`,
        );
}

/** The distinct last parts of names. */
export function lastParts(names: string[]): string {
  const all = [...new Set(names.map(lastPart))];
  return all.slice(0, 12).join(', ') + (all.length > 12 ? ', …' : '');
}
