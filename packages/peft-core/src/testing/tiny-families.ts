/** Fields of config.json for tiny models of families other than llama, without dropout. */
export const tinyFamilies = {
  gpt2: {
    model_type: 'gpt2',
    n_embd: 32,
    n_inner: 64,
    n_layer: 2,
    n_head: 4,
    n_positions: 256,
    resid_pdrop: 0,
    embd_pdrop: 0,
    attn_pdrop: 0,
  },
  bert: { model_type: 'bert', hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 },
  roberta: {
    model_type: 'roberta',
    pad_token_id: 1,
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
  },
  t5: {
    model_type: 't5',
    d_model: 32,
    d_kv: 8,
    d_ff: 64,
    num_layers: 2,
    num_heads: 4,
    dropout_rate: 0,
    feed_forward_proj: 'gated-gelu',
    decoder_start_token_id: 258,
    pad_token_id: 258,
  },
} as const;
