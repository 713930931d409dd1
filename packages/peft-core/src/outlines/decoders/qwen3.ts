import type { DecoderRow } from '../decoder.ts';
import { decoderGguf } from '../gguf/decoder-gguf.ts';
import { qwen2 } from './qwen2.ts';

/** Qwen 3: norms on each head's queries and keys. Source: transformers, models/qwen3/configuration_qwen3.py and modeling_qwen3.py. */
export const qwen3: DecoderRow = {
  ...qwen2,
  className: 'Qwen3',
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
  queryKeyNorms: 'head',
};
