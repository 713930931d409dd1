import type { ModelOutline } from '../../outlines/outline.ts';
import { resolveModulesToSave } from '../target-modules.ts';
import type { LnTuningConfig } from './method.ts';
import { trainedModules } from './trained-modules.ts';

/** Throws `target_modules_not_found`, `target_modules_required`, `invalid_peft_config`. */
export function checkLnTuning(config: LnTuningConfig, model: ModelOutline): void {
  resolveModulesToSave(config, model.modules);
  trainedModules(config, model);
}
