import type { LoraConfig } from '../config.ts';
import { INPUT_DIRECTIONS, QUANTISATION_ERROR, startsFromWeight } from './init-names.ts';

/**
 * The config of the plain LoRA adapter that the files hold: A' = [A; A₀] and B' = [B, −B₀], whose product is what training added to the
 * base model. It has twice the rank at the same scale. Source: peft 0.21.2, `path_initial_model_for_weight_conversion` (peft_model.py).
 * With LoftQ and EVA the files hold what was trained, and readers need not know how it started.
 */
export function publishedLora(config: LoraConfig): LoraConfig {
  const { init_lora_weights: init } = config;
  if (init === QUANTISATION_ERROR) return { ...config, init_lora_weights: true };
  if (init === INPUT_DIRECTIONS) return { ...config, init_lora_weights: true, eva_config: null };
  if (!startsFromWeight(init)) return config;
  const times = (values: Record<string, number>, factor: number) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, factor * value]));
  // With rsLoRA the scale is alpha / √rank.
  const alphaFactor = config.use_rslora ? Math.SQRT2 : 2;
  return {
    ...config,
    init_lora_weights: true,
    r: 2 * config.r,
    lora_alpha: alphaFactor * config.lora_alpha,
    rank_pattern: times(config.rank_pattern, 2),
    alpha_pattern: times(config.alpha_pattern, alphaFactor),
  };
}
