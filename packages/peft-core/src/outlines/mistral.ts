import { type DecoderFamily, decoderOutline } from './decoder.ts';

/** Mistral. Source: transformers, models/mistral/configuration_mistral.py and modeling_mistral.py. */
export const mistral: DecoderFamily = {
  modelType: 'mistral',
  className: 'Mistral',
  defaultTask: 'CAUSAL_LM',
  optionalPrefix: 'model.',
  pooling: 'last',
  rateExponent: 0.781,
  defaultTargets: {
    LORA: { target_modules: ['q_proj', 'v_proj'] },
    IA3: { target_modules: ['k_proj', 'v_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
    LN_TUNING: { target_modules: ['input_layernorm', 'post_attention_layernorm', 'norm'] },
  },
  // No `gguf`: llama.cpp stores these models under another architecture's name and drops their window.
  defaults: { num_key_value_heads: 8, max_position_embeddings: 131_072, sliding_window: 4096 },
  bias: () => ({ qkv: false, output: false, mlp: false }),
  windows(config, fields) {
    const window = config.sliding_window === null ? null : fields.size('sliding_window');
    return () => window;
  },
  outline: (config, task) => decoderOutline(mistral, config, task),
};
