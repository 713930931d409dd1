import type { LoraConfig } from '../config.ts';
import { widestRank } from './eva-config.ts';
import { INPUT_DIRECTIONS, QUANTISATION_ERROR, startsFromWeight } from './init-names.ts';

/**
 * The config of the plain LoRA adapter that the files hold: A' = [A; A₀] and B' = [B, −B₀], whose product is what training added to the
 * base model. It has twice the rank at the same scale. Source: peft 0.21.2, `path_initial_model_for_weight_conversion` (peft_model.py).
 * With LoftQ and EVA the files hold what was trained, and readers need not know how it started; ranks that depend on the data are zeros beside the
 * highest rank.
 */
export function publishedLora(config: LoraConfig): LoraConfig {
  const { init_lora_weights: init } = config;
  if (init === QUANTISATION_ERROR) return { ...config, init_lora_weights: true };
  if (init === INPUT_DIRECTIONS) return withoutEva(config);
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

function withoutEva(config: LoraConfig): LoraConfig {
  const r = widestRank(config);
  const factor = r / config.r;
  const alphas = Object.entries(config.alpha_pattern).map(([name, alpha]) => [name, factor * alpha]);
  return {
    ...config,
    init_lora_weights: true,
    eva_config: null,
    r,
    lora_alpha: factor * config.lora_alpha,
    alpha_pattern: Object.fromEntries(alphas),
  };
}

/** The config of files that HF PEFT wrote after EVA, which have their ranks and alphas already. */
export function readLora(config: LoraConfig): LoraConfig {
  return config.init_lora_weights === INPUT_DIRECTIONS
    ? { ...config, init_lora_weights: true, eva_config: null }
    : config;
}
