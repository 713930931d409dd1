import type { ModelOutline } from '../../outlines/outline.ts';
import { addReplacement, type SavedModules } from '../attach/saved-modules.ts';
import type { FileCopy } from '../tuner.ts';
import { copiedBiases, trainedBiases } from './biases.ts';

/** Adds the biases that `bias` selects to the trained parameters; `linears` are the wrapped modules. */
export function addBiases(
  saved: SavedModules,
  bias: string,
  model: ModelOutline,
  linears: ReadonlySet<string>,
): void {
  for (const { name, key, shape } of trainedBiases(saved.modules, bias, model, linears))
    addReplacement(saved, name, { name: key, shape, init: { kind: 'base', parameters: [name] } });
}

/** The additional copies of biases that PEFT writes. */
export function biasCopies(saved: SavedModules, bias: string, model: ModelOutline): FileCopy[] {
  return copiedBiases(saved.modules, bias, model).flatMap(({ name, copy, original }) => [
    { ...copy, of: { adapter: name } },
    { ...original, of: { base: name } },
  ]);
}
