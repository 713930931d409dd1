import type { Architecture } from '../../models/architecture.ts';
import { addReplacement, savedModules } from '../attach/saved-modules.ts';
import type { Attachment, Tuner } from '../tuner.ts';
import type { SelectiveConfig } from './method.ts';
import { selectedParameters } from './selected.ts';

/** Selected parameters of the base model, trained themselves and saved under their own names. */
export const selectiveTuner: Tuner<SelectiveConfig> = { keyPrefix: 'base_model.model.', attach };

function attach(config: SelectiveConfig, model: Architecture): Attachment {
  const saved = savedModules({}, model);
  const { parameters, replacements, merges } = saved;
  const specs = new Map(model.parameters.map((each) => [each.name, each]));
  const selected = selectedParameters(config, model).filter((name) => !replacements.has(name));
  for (const name of selected) {
    const source = model.aliases[name] ?? name;
    const spec = specs.get(source)!;
    addReplacement(
      saved,
      name,
      { name, shape: spec.shape, init: { kind: 'base', parameters: [source] } },
      spec,
    );
  }
  // A weight that is tied to a trained one and not selected itself stays tied to it.
  for (const [alias, source] of Object.entries(model.aliases)) {
    if (replacements.has(alias) || !replacements.has(source)) continue;
    replacements.set(alias, replacements.get(source)!);
    merges.set(alias, merges.get(source)!);
  }
  return { parameters, replacements, merges };
}
