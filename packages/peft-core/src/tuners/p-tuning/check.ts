import type { ModelOutline } from '../../outlines/outline.ts';
import { checkPrompt } from '../prompt-sizes.ts';
import type { PTuningConfig } from './config.ts';

/** Throws `invalid_peft_config`, `target_modules_not_found`. */
export function checkPTuning(config: PTuningConfig, model: ModelOutline): void {
  checkPrompt(config, model);
}
