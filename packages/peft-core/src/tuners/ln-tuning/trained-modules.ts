import { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { resolveTargetModules } from '../target-modules.ts';
import type { LnTuningConfig } from './config.ts';

/** What PEFT 0.21.2 trains when target_modules is null, by model_type (peft/utils/constants.py); it has none for BERT's family. */
export const DEFAULT_NORMS: Record<string, string[]> = {
  llama: ['input_layernorm', 'post_attention_layernorm', 'norm'],
  mistral: ['input_layernorm', 'post_attention_layernorm', 'norm'],
  qwen2: ['post_attention_layernorm'],
  qwen3: ['post_attention_layernorm'],
  gpt2: ['ln_1', 'ln_2', 'ln_f'],
  t5: ['layer_norm', 'final_layer_norm'],
};

/**
 * The modules that `config` trains, in the model's order: norms, and whatever else target_modules names, as PEFT copies any
 * module. Throws `target_modules_not_found`, `target_modules_required`, `invalid_peft_config`.
 */
export function trainedModules(config: LnTuningConfig, model: ModelOutline): string[] {
  const names = resolveTargetModules(config, model.modules, model.modelType, DEFAULT_NORMS);
  const container = model.modules.find(({ name, kind }) => kind === 'other' && names.includes(name));
  if (container)
    throw new GraftError(
      'invalid_peft_config',
      `target_modules: ${container.name} holds other modules; name those, or put it into modules_to_save`,
      { param: 'peft.target_modules' },
    );
  return names;
}
