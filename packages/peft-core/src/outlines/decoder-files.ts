import type { GgufFamily } from './family.ts';

/** The common part of llama.cpp's files of decoders. */
export const decoderGguf = {
  blocks: 'model.layers',
  blockParts: {
    attn_norm: 'input_layernorm',
    attn_q: 'self_attn.q_proj',
    attn_k: 'self_attn.k_proj',
    attn_v: 'self_attn.v_proj',
    attn_output: 'self_attn.o_proj',
    ffn_norm: 'post_attention_layernorm',
    ffn_gate: 'mlp.gate_proj',
    ffn_up: 'mlp.up_proj',
    ffn_down: 'mlp.down_proj',
  },
  otherParts: { token_embd: 'model.embed_tokens', output_norm: 'model.norm', output: 'lm_head' },
  config(header) {
    const hiddenSize = header.size('embedding_length');
    const heads = header.size('attention.head_count');
    const headSize =
      header.count('attention.key_length') ??
      header.count('rope.dimension_count') ??
      Math.floor(hiddenSize / heads);
    return {
      attention_bias: header.hasTensor('blk.0.attn_q.bias'),
      attention_dropout: 0,
      head_dim: headSize,
      hidden_act: 'silu',
      hidden_size: hiddenSize,
      intermediate_size: header.size('feed_forward_length'),
      max_position_embeddings: header.size('context_length'),
      mlp_bias: header.hasTensor('blk.0.ffn_up.bias'),
      num_attention_heads: heads,
      num_hidden_layers: header.size('block_count'),
      num_key_value_heads: header.count('attention.head_count_kv') ?? heads,
      rms_norm_eps: header.decimal('attention.layer_norm_rms_epsilon'),
      ...header.rope(headSize),
    };
  },
} satisfies Omit<GgufFamily, 'architecture'>;

/** The word pattern of most byte-level decoders, with contractions first; `digits` is the pattern of a group of digits. */
export const wordPattern = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** How the `adapters` library accesses a decoder that it has no classes for. Source: adapters, wrappers/interfaces.py. */
export const decoderInterface: Record<string, unknown> = {
  attn_k_proj: 'k_proj',
  attn_o_proj: 'o_proj',
  attn_q_proj: 'q_proj',
  attn_qkv_proj: null,
  attn_v_proj: 'v_proj',
  base_model: null,
  layer_cross_attn: null,
  layer_intermediate_proj: 'mlp.up_proj',
  layer_ln_1: null,
  layer_ln_2: null,
  layer_output_proj: 'mlp.down_proj',
  layer_pre_cross_attn: null,
  layer_pre_ffn: 'post_attention_layernorm',
  layer_pre_self_attn: 'input_layernorm',
  layer_self_attn: 'self_attn',
  model_embeddings: 'embed_tokens',
  model_layers: 'layers',
};
