import type { PeftConfig } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import { fullMatch } from '../schema/module-pattern.ts';
import { completeIa3, scaledModules } from './ia3/scaled-modules.ts';
import { loraTargets } from './lora/targets.ts';
import {
  isNamed,
  lastPart,
  matchesPattern,
  notFoundError,
  type TargetOptions,
  transposedTargets,
} from './target-modules.ts';

/**
 * Refuses options of a request that would do nothing on this model, which HF PEFT passes over: a name that is mistyped among
 * others that are not, a pattern for modules that are not adapted. Configs read from files are not held to this.
 * Throws `target_modules_not_found`, `invalid_peft_config`, `rank_too_large`.
 */
export function checkIdleOptions(peft: PeftConfig, model: ModelOutline): void {
  if ('target_modules' in peft) checkNames(peft, model);
  if (peft.peft_type === 'LORA') {
    const { targets } = loraTargets(peft, model);
    const names = targets.map(({ name }) => name);
    checkPatterns(peft, names);
    checkRanks(targets, peft.r);
    checkTransposed(peft, names, model);
  }
  if (peft.peft_type === 'IA3') {
    const names = scaledModules(peft, model).map(({ module }) => module.name);
    checkFeedForward(peft, names, model);
    checkTransposed(peft, names, model);
  }
}

function checkNames(options: TargetOptions, model: ModelOutline): void {
  const { modules, layers, encoderLayers = 0 } = model;
  for (const option of ['target_modules', 'exclude_modules'] as const) {
    const given = options[option] ?? null;
    if (!Array.isArray(given)) continue;
    for (const entry of given)
      if (!modules.some(({ name }) => isNamed(name, entry))) throw notFoundError(option, entry, modules);
  }
  const excluded = options.exclude_modules;
  if (typeof excluded === 'string' && !modules.some(({ name }) => fullMatch(excluded, name)))
    throw invalid(
      'exclude_modules',
      `"${excluded}" is a regular expression for whole paths and matches none; names go into a list`,
    );
  const depth = Math.max(layers, encoderLayers);
  const stray = [options.layers_to_transform ?? []].flat().find((layer) => layer >= depth);
  if (stray !== undefined)
    throw invalid('layers_to_transform', `there is no layer ${stray}; layers are 0 to ${depth - 1}`);
}

function checkPatterns(
  config: { rank_pattern: Record<string, number>; alpha_pattern: Record<string, number> },
  names: string[],
): void {
  for (const option of ['rank_pattern', 'alpha_pattern'] as const)
    for (const key of Object.keys(config[option]))
      if (!names.some((name) => matchesPattern(key, name)))
        throw invalid(option, `"${key}" matches none of the adapted modules, which are ${ends(names)}`);
}

function checkRanks(targets: { name: string; width: number; out: number; rank: number }[], r: number): void {
  for (const { name, width, out, rank } of targets) {
    if (rank <= Math.min(width, out)) continue;
    throw new GraftError(
      'rank_too_large',
      `rank ${rank} is larger than ${name} allows: its weight is ${out} × ${width}`,
      { param: rank === r ? 'peft.r' : 'peft.rank_pattern' },
    );
  }
}

function checkFeedForward(
  config: Parameters<typeof completeIa3>[0],
  names: string[],
  model: ModelOutline,
): void {
  if (config.feedforward_modules === null) return;
  const { feedforward_modules: inputs } = completeIa3(config, model);
  const matches = (entry: string, name: string) =>
    typeof inputs === 'string' ? fullMatch(entry, name) : name.endsWith(entry);
  for (const entry of [inputs ?? []].flat())
    if (!names.some((name) => matches(entry, name)))
      throw invalid(
        'feedforward_modules',
        `"${entry}" matches none of the modules of target_modules, which are ${ends(names)}`,
      );
}

function checkTransposed(config: { fan_in_fan_out: boolean }, names: string[], model: ModelOutline): void {
  if (config.fan_in_fan_out && !transposedTargets(names, model))
    throw invalid(
      'fan_in_fan_out',
      'true is for weights that are stored as (in, out), and those of target_modules are not; leave it out',
    );
}

/** The last parts of names, each once. */
function ends(names: string[]): string {
  const all = [...new Set(names.map(lastPart))];
  return all.slice(0, 12).join(', ') + (all.length > 12 ? ', …' : '');
}

function invalid(option: string, message: string): GraftError {
  return new GraftError('invalid_peft_config', `${option}: ${message}`, { param: `peft.${option}` });
}
