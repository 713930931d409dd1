import type { Architecture } from '../../models/architecture.ts';
import { addReplacement, type SavedModules } from '../saved-modules.ts';
import type { FileCopy } from '../tuner.ts';
import type { LoraConfig } from './config.ts';
import { copiedBiases, trainedBiases } from './file-tensors.ts';

/** Adds the biases that `bias` selects to the trained parameters; `linears` are the wrapped modules. */
export function addBiases(
  saved: SavedModules,
  config: LoraConfig,
  model: Architecture,
  linears: ReadonlySet<string>,
): void {
  for (const { name, key, shape } of trainedBiases(saved.modules, config, model, linears))
    addReplacement(saved, name, { name: key, shape, init: { kind: 'base', parameters: [name] } });
}

/** The additional copies of biases that PEFT writes. */
export function biasCopies(saved: SavedModules, config: LoraConfig, model: Architecture): FileCopy[] {
  return copiedBiases(saved.modules, config, model).flatMap(({ name, copy, original }) => [
    { ...copy, of: { adapter: name } },
    { ...original, of: { base: name } },
  ]);
}
