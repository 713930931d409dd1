/** The biases of the base model that a method trains, as HF PEFT's `bias` selects them. Loads no TensorFlow. */

import type { ModelOutline } from '../../outlines/outline.ts';
import { optionError, show } from '../../schema/check-fields.ts';
import { isWithin } from '../target-modules.ts';

/** A tensor with its name in the files, without the common prefix. */
export interface NamedShape {
  name: string;
  shape: number[];
}

/** Checks whether a parameter is a bias: of a module, or of experts, whose module has those of several products. */
export const isBias = (parameter: string): boolean => /(\.|_proj_)bias$/.test(parameter);

/**
 * The biases that `bias` selects for training, with their keys: none, all, or else those of `linears`, the wrapped modules. Those of
 * `savedModules` are trained with their module. Throws `invalid_peft_config` for those of experts whose matrices are wrapped.
 */
export function trainedBiases(
  savedModules: readonly string[],
  bias: string,
  model: ModelOutline,
  linears: ReadonlySet<string>,
): { name: string; key: string; shape: number[] }[] {
  if (bias === 'none') return [];
  return model.parameters.flatMap(({ name, shape }) => {
    if (!isBias(name)) return [];
    const module = name.slice(0, name.lastIndexOf('.'));
    if (bias !== 'all' && !linears.has(module)) return [];
    if (!name.endsWith('.bias') && linears.has(module))
      throw optionError(
        'bias',
        `${show(bias)} beside target_parameters of ${module} is not implemented; use "none"`,
      );
    if (savedModules.some((each) => isWithin(module, each))) return [];
    // peft stores a wrapped module's own parameters under `base_layer`.
    return [{ name, key: linears.has(module) ? `${module}.base_layer.bias` : name, shape }];
  });
}

/**
 * With bias "all", PEFT writes the biases of a module of modules_to_save three times: under the module's name, and under the names
 * of its trained copy and of the original (peft, tuners_utils.py, _get_learnable_bias_state_dict).
 */
export function copiedBiases(
  savedModules: readonly string[],
  bias: string,
  model: ModelOutline,
): { name: string; copy: NamedShape; original: NamedShape }[] {
  if (bias !== 'all') return [];
  return savedModules.flatMap((module) =>
    model.parameters
      .filter(({ name }) => name.startsWith(`${module}.`) && name.endsWith('.bias'))
      .map(({ name, shape }) => {
        const rest = name.slice(module.length + 1);
        // PEFT removes the adapter's name, "default", from a key only if it is the last part but one.
        const copy = rest === 'bias' ? rest : `default.${rest}`;
        return {
          name,
          copy: { name: `${module}.modules_to_save.${copy}`, shape },
          original: { name: `${module}.original_module.${rest}`, shape },
        };
      }),
  );
}
