import { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { fullMatch } from '../../schema/module-pattern.ts';
import { isAllLinear, isExcluded, lastPart, targetsAllLinear } from '../target-modules.ts';
import type { LoraConfig } from './config.ts';

/**
 * The config as PEFT changes it for an architecture whose modules became parts of parameters (`ModelOutline.formerModules`): names of
 * such modules in target_modules become target_parameters. Where several modules became one parameter, all must be named, and its rank
 * and alpha are multiplied by their number. "all-linear" names all of them, but beside an empty list of target_parameters only the modules
 * whose names are not translated, which are those of attention. Throws `invalid_peft_config`.
 * Source: peft 0.21.2, utils/transformers_weight_conversion.py (_convert_peft_config_moe).
 */
export function withoutFormerNames(config: LoraConfig, model: ModelOutline): LoraConfig {
  const former = model.formerModules;
  if (model.routing && targetsAllLinear(config) && config.target_parameters?.length === 0)
    return { ...config, target_modules: namesBeside(model, former ?? {}), target_parameters: null };
  if (!former) return config;
  const targets = namesOf(config, model, former);
  if (targets === null) return config;
  const parameters = new Set(config.target_parameters ?? []);
  const found = new Map<string, Set<string>>();
  const rest: string[] = [];
  for (const target of targets) {
    const old = Object.keys(former).find((name) => target === name || target.endsWith(`.${name}`));
    if (old === undefined) {
      rest.push(target);
      continue;
    }
    const parameter = former[old]!;
    parameters.add(parameter);
    found.set(parameter, (found.get(parameter) ?? new Set()).add(old));
  }
  const [ranks, alphas] = [{ ...config.rank_pattern }, { ...config.alpha_pattern }];
  for (const [parameter, names] of found) {
    const all = Object.keys(former).filter((name) => former[name] === parameter);
    const missing = all.filter((name) => !names.has(name));
    if (missing.length > 0)
      throw new GraftError(
        'invalid_peft_config',
        `target_modules: ${[...names].join(', ')} needs ${missing.join(', ')} too, because ${parameter} holds the matrices of both`,
        { param: 'peft.target_modules' },
      );
    if (all.length === 1) continue;
    ranks[`.*\\.${parameter}`] = config.r * all.length;
    alphas[`.*\\.${parameter}`] = config.lora_alpha * all.length;
  }
  return {
    ...config,
    target_modules: rest,
    target_parameters: [...parameters],
    rank_pattern: ranks,
    alpha_pattern: alphas,
  };
}

/** The names in target_modules; for a regular expression, or "all-linear", the last parts of the names that match. null: none does. */
function namesOf(
  config: LoraConfig,
  { modules, parameters }: ModelOutline,
  former: Readonly<Record<string, string>>,
): string[] | null {
  const { target_modules: targets } = config;
  if (targets === null) return [];
  if (typeof targets !== 'string') return targets;
  if (targetsAllLinear(config))
    return distinct([...modules.filter(isAllLinear).map(({ name }) => name), ...Object.keys(former)]);
  const matches = (name: string) => fullMatch(targets, name) && !isExcluded(config, name);
  const all = [...modules, ...parameters].map(({ name }) => name);
  const own = distinct(all.filter(matches));
  // A parameter's module had the former modules: `mlp.experts.gate_proj`.
  const old = Object.entries(former).filter(([name, parameter]) =>
    parameters.some((each) => {
      const holder = each.name.slice(0, each.name.lastIndexOf('.'));
      return lastPart(each.name) === parameter && matches(`${holder}.${name}`);
    }),
  );
  const names = distinct([...own, ...old.map(([name]) => name)]);
  return names.length > 0 ? names : null;
}

const isShared = ({ name }: { name: string }) => /\.shared_expert(_gate)?(\.|$)/.test(name);

/** The names of linear modules that are not translated, and not of a shared expert. */
const namesBeside = ({ modules }: ModelOutline, former: Readonly<Record<string, string>>): string[] =>
  distinct(
    modules.filter((module) => isAllLinear(module) && !isShared(module)).map(({ name }) => name),
  ).filter((name) => !(name in former));

const distinct = (names: string[]) => [...new Set(names.map(lastPart))];
