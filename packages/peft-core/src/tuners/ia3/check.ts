import type { ModelOutline } from '../../outlines/outline.ts';
import { resolveModulesToSave } from '../target-modules.ts';
import type { Ia3Config } from './method.ts';
import { scaledModules } from './scaled-modules.ts';

/** Throws `target_modules_not_found`, `target_modules_required`, `invalid_peft_config`. */
export function checkIa3(config: Ia3Config, model: ModelOutline): void {
  resolveModulesToSave(config, model.modules);
  scaledModules(config, model);
}
