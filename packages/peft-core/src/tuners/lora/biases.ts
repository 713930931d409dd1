import type { Architecture } from '../../models/architecture.ts';
import { addReplacement, type SavedModules } from '../saved-modules.ts';
import { isWithin } from '../target-modules.ts';
import type { FileCopy } from '../tuner.ts';
import type { LoraConfig } from './config.ts';

/** Trains the biases that `bias` names beside the update; `linears` are the wrapped modules. */
export function addBiases(
  saved: SavedModules,
  { bias }: LoraConfig,
  model: Architecture,
  linears: ReadonlySet<string>,
): void {
  if (bias === 'none') return;
  for (const { name, shape } of model.parameters) {
    if (!name.endsWith('.bias')) continue;
    const module = name.slice(0, -'.bias'.length);
    if (bias === 'lora_only' && !linears.has(module)) continue;
    if (saved.modules.some((each) => isWithin(module, each))) continue;
    // peft keeps a wrapped module's own parameters under `base_layer`.
    const key = linears.has(module) ? `${module}.base_layer.bias` : name;
    addReplacement(saved, name, { name: key, shape, init: { kind: 'base', parameters: [name] } });
  }
}

/**
 * With bias "all", PEFT writes the biases of a module of modules_to_save three times: as the module's, and under its own names
 * of the trained copy and of the original (peft, tuners_utils.py, _get_learnable_bias_state_dict).
 */
export function biasCopies(saved: SavedModules, { bias }: LoraConfig, model: Architecture): FileCopy[] {
  if (bias !== 'all') return [];
  return saved.modules.flatMap((module) =>
    model.parameters
      .filter(({ name }) => name.startsWith(`${module}.`) && name.endsWith('.bias'))
      .flatMap(({ name, shape }) => {
        const rest = name.slice(module.length + 1);
        // PEFT takes the adapter's name, "default", out of a key only where it is the last part but one.
        const copy = rest === 'bias' ? rest : `default.${rest}`;
        return [
          { name: `${module}.modules_to_save.${copy}`, shape, of: { adapter: name } },
          { name: `${module}.original_module.${rest}`, shape, of: { base: name } },
        ];
      }),
  );
}
