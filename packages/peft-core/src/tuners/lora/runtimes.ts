import type { LoraConfig } from './config.ts';

/**
 * Other runtimes, and which adapters each loads without conversion. Runtimes that serve adapters beside a model serve decoders, and
 * only plain LoRA.
 */
export const loraRuntimes: Record<string, (config: LoraConfig) => boolean> = {
  // vllm/lora/peft_helper.py: one rank and alpha for all modules; supports rsLoRA, ignores rank_pattern and alpha_pattern.
  vLLM: (config) => isPlain(config) && isUniform(config) && isAlwaysActive(config),
  // sglang/srt/lora/lora.py and lora_config.py: versions without support for patterns and rsLoRA scale by lora_alpha / r.
  SGLang: (config) =>
    isPlain(config) &&
    isUniform(config) &&
    isAlwaysActive(config) &&
    !config.use_rslora &&
    typeof config.target_modules !== 'string',
  // text_generation_server/adapters/lora.py: a kind of module is used only if every layer has it; the scale comes from r and lora_alpha.
  TGI: (config) =>
    isPlain(config) && isUniform(config) && isAlwaysActive(config) && config.layers_to_transform === null,
  // llama.cpp, convert_lora_to_gguf.py: one alpha for the file; each tensor is scaled by alpha / its own rank. llama-server reads the
  // tokens that activate an adapter.
  'llama.cpp (converted)': (config) =>
    isPlain(config) && !config.use_rslora && Object.keys(config.alpha_pattern).length === 0,
};

/** Modules with token tables: their updates have other names (lora_embedding_A), or change the sampler's input. */
const tables = /(^|\.)(embed_tokens|wte|word_embeddings|shared|lm_head)$/;

/**
 * Checks whether the adapter consists only of low-rank pairs for linear layers of a language model: no magnitudes (vLLM: "does not yet support
 * DoRA"), no modules saved in full (vLLM: "only supports modules_to_save being None"; llama.cpp: "Not a lora_A or lora_B tensor"), no
 * biases, no token rows, no matrices of experts (which pad_rank refuses, too). None of the four supports Conv1D layers, which `fan_in_fan_out` indicates.
 */
function isPlain(config: LoraConfig): boolean {
  const { target_modules: targets } = config;
  return (
    config.task_type === 'CAUSAL_LM' &&
    !config.use_dora &&
    !config.lora_bias &&
    config.bias === 'none' &&
    (config.modules_to_save ?? []).length === 0 &&
    config.trainable_token_indices === null &&
    (config.target_parameters ?? []).length === 0 &&
    !config.fan_in_fan_out &&
    !(Array.isArray(targets) && targets.some((name) => tables.test(name)))
  );
}

/**
 * Checks whether the adapter is active from the beginning of a prompt. vLLM, SGLang and TGI ignore alora_invocation_tokens, and would apply
 * the adapter to the whole prompt (vLLM's pull request 19710 was closed).
 */
const isAlwaysActive = ({ alora_invocation_tokens: tokens }: LoraConfig): boolean => tokens === null;

/** Checks whether all modules have the same rank and alpha. */
function isUniform({ rank_pattern, alpha_pattern, r, lora_alpha }: LoraConfig): boolean {
  return (
    Object.values(rank_pattern).every((rank) => rank === r) &&
    Object.values(alpha_pattern).every((alpha) => alpha === lora_alpha)
  );
}
