import type { ModelOutline } from '../../outlines/outline.ts';
import { checkPrompt } from '../soft-prompt.ts';
import type { PTuningConfig } from './method.ts';

/** Throws `invalid_peft_config`, `target_modules_not_found`. */
export function checkPTuning(config: PTuningConfig, model: ModelOutline): void {
  checkPrompt(config, model);
}
