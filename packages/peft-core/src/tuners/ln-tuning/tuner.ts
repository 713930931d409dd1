import type { Architecture } from '../../models/architecture.ts';
import { embeddingCopies } from '../attach/embedding-copies.ts';
import { addReplacement, savedModules } from '../attach/saved-modules.ts';
import { isWithin, writtenTargets } from '../target-modules.ts';
import type { Attachment, Tuner } from '../tuner.ts';
import { type LnTuningConfig, lnTuningMethod, trainedModules } from './method.ts';

/** Trained copies of the norms. Options and names follow peft's LNTuningConfig (tuners/ln_tuning/layer.py). */
export const lnTuningTuner: Tuner<LnTuningConfig> = { keyPrefix: 'base_model.model.', attach };

function attach(config: LnTuningConfig, model: Architecture): Attachment {
  lnTuningMethod.check(config, model);
  const { modules, ...saved } = savedModules(config, model);
  const shapes = new Map(model.parameters.map(({ name, shape }) => [name, shape]));
  const trained = trainedModules(config, model).filter(
    (name) => !modules.some((module) => isWithin(name, module)),
  );
  for (const module of trained) {
    for (const part of ['weight', 'bias']) {
      const name = `${module}.${part}`;
      const source = model.aliases[name] ?? name;
      const shape = shapes.get(source);
      if (!shape) continue;
      const key = `${module}.ln_tuning_layers.${part}`;
      addReplacement(saved, name, { name: key, shape, init: { kind: 'base', parameters: [source] } });
    }
  }
  const targets = writtenTargets(config, model);
  return {
    ...saved,
    copies: embeddingCopies(targets, trained, model),
    written: { ...config, target_modules: targets },
  };
}
