/** How the library finds its way in models that it has no classes for (adapters, wrappers/interfaces.py). */
const qwen = {
  adapter_methods: ['bottleneck', 'lora', 'reft', 'invertible'],
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

/** By model_type; the library writes them beside an adapter as adapter_interface.json. */
export const libraryInterfaces: Record<string, Record<string, unknown>> = { qwen2: qwen, qwen3: qwen };
