import type { Architecture } from '../../models/architecture.ts';
import type { TokenTarget } from '../token-targets.ts';
import type { Merge, ParameterInit } from '../tuner.ts';
import type { SavedModules } from './saved-modules.ts';
import { drawn, normal } from './start-values.ts';

/**
 * Trains rows of a table under `key`, `(n, H)`. They replace the table's rows, although PEFT calls them a delta. They start with the
 * table's values, or with normal random numbers if `random`.
 */
export function addTokenRows(
  to: Pick<SavedModules, 'parameters' | 'replacements' | 'merges'>,
  { module, ids, followers }: TokenTarget,
  key: string,
  model: Architecture,
  random = false,
): void {
  const weight = `${module}.weight`;
  const table = model.parameters.find(({ name }) => name === (model.aliases[weight] ?? weight))!;
  const width = table.shape[1]!;
  const init: ParameterInit = random
    ? drawn(ids.length * width, normal)
    : { kind: 'rows', parameter: weight, pick: () => ids };
  to.parameters.push({ name: key, shape: [ids.length, width], init });
  const merge: Merge = (weight, adapter) => {
    for (const [i, id] of ids.entries())
      weight.set(adapter(key).subarray(i * width, (i + 1) * width), id * width);
    return weight;
  };
  for (const name of [weight, ...followers.map((follower) => `${follower}.weight`)]) {
    to.replacements.set(name, (context) => ({
      kind: 'rows',
      base: context.weight(name)!,
      ids,
      rows: context.parameter(key),
    }));
    to.merges.set(name, merge);
  }
}
