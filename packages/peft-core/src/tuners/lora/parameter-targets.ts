import { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { optionError } from '../../schema/check-fields.ts';
import { nearest } from '../../schema/nearest.ts';
import { isNamed } from '../target-modules.ts';
import type { LoraConfig } from './config.ts';

/** A parameter that target_parameters adapts. */
export interface NamedParameter {
  /** State-dict name: that of experts' matrices, or of a router's. */
  name: string;
  shape: number[];
  module: string;
  /**
   * Where PEFT puts A and B: the module, which wraps itself once for each later parameter of it that is adapted.
   * Source: peft, tuners_utils.py (_inject_parameters).
   */
  holder: string;
}

/**
 * The parameters that `target_parameters` selects by the ends of their names, in the model's order. Throws `invalid_peft_config` for one
 * that is neither of experts nor of a router.
 */
export function namedParameters(
  { target_parameters: wanted }: Pick<LoraConfig, 'target_parameters'>,
  model: ModelOutline,
): NamedParameter[] {
  if (!wanted || wanted.length === 0) return [];
  const adaptable = new Set(adaptableParameters(model));
  const found = model.parameters.filter(({ name }) => wanted.some((entry) => isNamed(name, entry)));
  const other = found.find(({ name }) => !adaptable.has(name));
  if (other)
    throw optionError(
      'target_parameters',
      `adapts the matrices of experts and routers, not ${other.name}; name its module in target_modules`,
    );
  const holders = new Map<string, number>();
  const all: NamedParameter[] = [];
  for (const { name, shape } of found.toReversed()) {
    const module = name.slice(0, name.lastIndexOf('.'));
    const outer = holders.get(module) ?? 0;
    holders.set(module, outer + 1);
    all.push({ name, shape, module, holder: module + '.base_layer'.repeat(outer) });
  }
  return all.reverse();
}

/** The names of the parameters that target_parameters can adapt. */
function adaptableParameters({ parameters, modules }: ModelOutline): string[] {
  const routers = new Set(
    modules
      .filter(({ kind, out }) => kind === 'other' && out !== undefined)
      .map(({ name }) => `${name}.weight`),
  );
  return parameters.filter(({ name, experts }) => experts || routers.has(name)).map(({ name }) => name);
}

/** Throws `target_modules_not_found` for an entry of target_parameters that matches no parameter. */
export function checkParameterNames(
  { target_parameters: wanted }: Pick<LoraConfig, 'target_parameters'>,
  model: ModelOutline,
): void {
  for (const entry of wanted ?? [])
    if (!model.parameters.some(({ name }) => isNamed(name, entry))) throw parameterNotFound(entry, model);
}

/** The error for an entry that matches no parameter; its message names the nearest ones. */
export function parameterNotFound(entry: string, model: ModelOutline): GraftError {
  const ends = [...new Set(adaptableParameters(model).map((name) => name.replace(/^.*?\.\d+\./, '')))];
  const near = nearest(entry, ends, 3);
  const known = near.length > 0 ? near : ends;
  const hint =
    known.length > 0
      ? `; it has ${known.join(', ')}`
      : '; it is for the matrices of experts, and this model has none: name modules in target_modules';
  return new GraftError(
    'target_modules_not_found',
    `target_parameters: "${entry}" matches no parameter of this model${hint}`,
    { param: 'peft.target_parameters' },
  );
}
