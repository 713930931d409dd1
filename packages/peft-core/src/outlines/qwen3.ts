import { type DecoderFamily, decoderOutline, optionalWindows } from './decoder.ts';
import { decoderGguf, decoderInterface } from './decoder-files.ts';

/** Qwen 3: norms on each head's queries and keys. Source: transformers, models/qwen3/configuration_qwen3.py and modeling_qwen3.py. */
export const qwen3: DecoderFamily = {
  modelType: 'qwen3',
  className: 'Qwen3',
  defaultTask: 'CAUSAL_LM',
  optionalPrefix: 'model.',
  pooling: 'last',
  rateExponent: 0.0775,
  defaultTargets: {
    LORA: { target_modules: ['q_proj', 'v_proj'] },
    IA3: { target_modules: ['q_proj', 'v_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
    LN_TUNING: { target_modules: ['post_attention_layernorm'] },
  },
  adaptersInterface: decoderInterface,
  // Its files name the pre-tokenizer of an older family.
  gguf: {
    ...decoderGguf,
    architecture: 'qwen3',
    blockParts: {
      ...decoderGguf.blockParts,
      attn_q_norm: 'self_attn.q_norm',
      attn_k_norm: 'self_attn.k_norm',
    },
  },
  defaults: { num_key_value_heads: 32, head_dim: 128, max_position_embeddings: 32_768 },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: false };
  },
  headNorms: true,
  windows: optionalWindows,
  outline: (config, task) => decoderOutline(qwen3, config, task),
};
