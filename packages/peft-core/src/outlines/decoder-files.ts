/** The word pattern of most byte-level decoders, with contractions first; `digits` is the pattern of a group of digits. */
export const wordPattern = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/**
 * The word pattern of byte-level tokenizers that also split a word where small letters are followed by capital ones; `contraction` is the
 * pattern of what may follow a word, `digits` of a group of digits.
 */
export const casePattern = (contraction: string, digits: string) => {
  const [capital, small] = ['\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}', '\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}'];
  const before = '[^\\r\\n\\p{L}\\p{N}]?';
  return `${before}[${capital}]*[${small}]+${contraction}|${before}[${capital}]+[${small}]*${contraction}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
};

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
