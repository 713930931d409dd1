import { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { resolveTargetModules } from '../target-modules.ts';
import type { LnTuningConfig } from './method.ts';

/**
 * The modules that `config` trains, in the model's order: norms, and whatever else target_modules names, as PEFT copies any
 * module. Throws `target_modules_not_found`, `target_modules_required`, `invalid_peft_config`.
 */
export function trainedModules(config: LnTuningConfig, model: ModelOutline): string[] {
  const names = resolveTargetModules(config, model);
  const container = model.modules.find(({ name, kind }) => kind === 'other' && names.includes(name));
  if (container)
    throw new GraftError(
      'invalid_peft_config',
      `target_modules: ${container.name} holds other modules; name those, or put it into modules_to_save`,
      { param: 'peft.target_modules' },
    );
  return names;
}
