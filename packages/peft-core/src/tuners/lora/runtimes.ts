import type { LoraConfig } from './config.ts';

/**
 * Other runtimes, and what each takes of an adapter as it is: those who serve adapters beside a model serve decoders, and of
 * LoRA what the plain form has.
 */
export const loraRuntimes: Record<string, (config: LoraConfig) => boolean> = {
  // vllm/lora/peft_helper.py: one rank and alpha for all modules; rsLoRA is honoured, rank_pattern and alpha_pattern are not read.
  vLLM: (config) => isPlain(config) && isUniform(config),
  // sglang/srt/lora/lora.py and lora_config.py: scaled by lora_alpha / r in versions before patterns and rsLoRA were read.
  SGLang: (config) =>
    isPlain(config) && isUniform(config) && !config.use_rslora && typeof config.target_modules !== 'string',
  // text_generation_server/adapters/lora.py: a kind of module counts only if every layer has it; scale from r and lora_alpha.
  TGI: (config) => isPlain(config) && isUniform(config) && config.layers_to_transform === null,
  // llama.cpp, convert_lora_to_gguf.py: one alpha for the file, each tensor scaled by alpha / its own rank.
  'llama.cpp (converted)': (config) =>
    isPlain(config) && !config.use_rslora && Object.keys(config.alpha_pattern).length === 0,
};

/** The modules of token tables: their updates have names of their own (lora_embedding_A), or touch the sampler. */
const tables = /(^|\.)(embed_tokens|wte|word_embeddings|shared|lm_head)$/;

/**
 * A language model's low-rank pairs of linear layers and nothing else: no magnitudes (vLLM: "does not yet support DoRA"), no
 * modules saved whole (vLLM: "only supports modules_to_save being None"; llama.cpp: "Not a lora_A or lora_B tensor"), no biases,
 * no rows of tokens. None of the four adapts Conv1D layers, which `fan_in_fan_out` stands for.
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
    !config.fan_in_fan_out &&
    !(Array.isArray(targets) && targets.some((name) => tables.test(name)))
  );
}

/** One rank and one alpha for all modules. */
function isUniform({ rank_pattern, alpha_pattern, r, lora_alpha }: LoraConfig): boolean {
  return (
    Object.values(rank_pattern).every((rank) => rank === r) &&
    Object.values(alpha_pattern).every((alpha) => alpha === lora_alpha)
  );
}
