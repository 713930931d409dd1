import type { DecoderRow } from '../decoder.ts';
import { wordPattern } from '../decoder-files.ts';
import { decoderGguf, missingOf } from '../gguf/decoder-gguf.ts';

/**
 * OLMo 2: norms of each sublayer's output instead of its input, and of all queries and all keys. Source: transformers,
 * models/olmo2/configuration_olmo2.py and modeling_olmo2.py.
 */
export const olmo2: DecoderRow = {
  className: 'Olmo2',
  tasks: ['CAUSAL_LM', 'SEQ_CLS', 'FEATURE_EXTRACTION'],
  defaultTargets: {},
  adaptersInterface: null,
  defaults: { pad_token_id: 1, rms_norm_eps: 1e-5 },
  gguf: {
    ...decoderGguf,
    architecture: 'olmo2',
    blockParts: {
      attn_q: 'self_attn.q_proj',
      attn_k: 'self_attn.k_proj',
      attn_v: 'self_attn.v_proj',
      attn_output: 'self_attn.o_proj',
      attn_q_norm: 'self_attn.q_norm',
      attn_k_norm: 'self_attn.k_norm',
      post_attention_norm: 'post_attention_layernorm',
      ffn_gate: 'mlp.gate_proj',
      ffn_up: 'mlp.up_proj',
      ffn_down: 'mlp.down_proj',
      post_ffw_norm: 'post_feedforward_layernorm',
    },
    // From its tokenizer.json.
    preTokenizers: { dbrx: { pattern: wordPattern('\\p{N}{1,3}') } },
    needsOutput: true,
    missing: (outline) => missingOf(outline, { heads: 'fill the width' }),
  },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: false };
  },
  norms: 'after',
  queryKeyNorms: 'projection',
};
