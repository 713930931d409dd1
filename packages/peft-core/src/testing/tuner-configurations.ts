/** The configurations of the conformance tests. A new tuner adds its rows to both tables. */

/** Configurations that use every option of each tuner, for a llama. */
export const everyOption: Record<string, Record<string, unknown>> = {
  'LORA, plain': { peft_type: 'LORA', r: 4, target_modules: ['q_proj', 'v_proj'] },
  'LORA, every linear layer, rank-stabilised': {
    peft_type: 'LORA',
    r: 4,
    target_modules: 'all-linear',
    use_rslora: true,
  },
  'LORA, patterns and biases': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['q_proj', 'down_proj'],
    rank_pattern: { q_proj: 3 },
    alpha_pattern: { down_proj: 5 },
    bias: 'all',
  },
  'LORA, head and norms saved whole': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['k_proj'],
    modules_to_save: ['lm_head', 'norm'],
  },
  'LORA, head and embedding': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['lm_head', 'o_proj'],
    modules_to_save: ['embed_tokens'],
  },
  'LORA, with lora_bias': { peft_type: 'LORA', r: 2, target_modules: ['q_proj'], lora_bias: true },
  'LORA, DoRA with dropout': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['q_proj', 'down_proj'],
    use_dora: true,
    lora_dropout: 0.2,
  },
  'LORA, DoRA of embedding and head': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['embed_tokens', 'lm_head'],
    use_dora: true,
  },
  'LORA, embedding, orthogonal start': {
    peft_type: 'LORA',
    r: 4,
    target_modules: ['embed_tokens', 'v_proj'],
    init_lora_weights: 'orthogonal',
  },
  'LORA, principal start, rsLoRA': {
    peft_type: 'LORA',
    r: 2,
    target_modules: 'all-linear',
    use_rslora: true,
    init_lora_weights: 'pissa',
  },
  'LORA, OLoRA, whole head': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['q_proj', 'down_proj'],
    rank_pattern: { q_proj: 3 },
    init_lora_weights: 'olora',
    modules_to_save: ['lm_head'],
  },
  'LORA, random start, trained tokens, whole mlps': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['q_proj', 'lm_head'],
    init_lora_weights: false,
    trainable_token_indices: [51, 58, 111],
    modules_to_save: ['mlp'],
  },
  'IA3, plain': { peft_type: 'IA3' },
  'IA3, random start, every linear layer': {
    peft_type: 'IA3',
    target_modules: 'all-linear',
    feedforward_modules: '.*mlp.*',
    init_ia3_weights: false,
    modules_to_save: ['norm'],
  },
  'LN_TUNING, plain': { peft_type: 'LN_TUNING' },
  'LN_TUNING, of other modules': { peft_type: 'LN_TUNING', target_modules: ['lm_head', 'v_proj'] },
  'TRAINABLE_TOKENS, plain': { peft_type: 'TRAINABLE_TOKENS', token_indices: [51, 58, 111] },
  'TRAINABLE_TOKENS, of the head, random start': {
    peft_type: 'TRAINABLE_TOKENS',
    token_indices: [100, 111],
    target_modules: ['lm_head'],
    init_weights: false,
  },
  'SELECTIVE, the head apart from its embedding': { peft_type: 'SELECTIVE', preset: 'retrain_embeddings' },
  'SELECTIVE, norms and embeddings': { peft_type: 'SELECTIVE', kinds: ['norm', 'embedding'] },
  'SELECTIVE, a layer': { peft_type: 'SELECTIVE', layers: 1 },
  'SELECTIVE, names and a kind in a layer': {
    peft_type: 'SELECTIVE',
    trainable: ['self_attn.q_proj'],
    kinds: ['mlp'],
    layers: [0],
  },
  'BOTTLENECK, after the feed-forward network': {
    peft_type: 'BOTTLENECK',
    preset: 'seq_bn',
    reduction_factor: 4,
    non_linearity: 'gelu', // Finite differences fail at a ReLU's kink.
  },
  'BOTTLENECK, after both sublayers, with norms': {
    peft_type: 'BOTTLENECK',
    preset: 'double_seq_bn',
    reduction_factor: { '0': 2, default: 8 },
    ln_before: true,
    ln_after: true,
    scaling: 'channel',
    dropout: 0.1,
  },
  'PROMPT_TUNING, drawn': { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 },
  'PROMPT_TUNING, from a text, norm and mlps trained too': {
    peft_type: 'PROMPT_TUNING',
    num_virtual_tokens: 7,
    prompt_tuning_init: 'TEXT',
    prompt_tuning_init_text: 'odd or even?',
    modules_to_save: ['norm', 'mlp'],
  },
  'PROMPT_TUNING, from the vocabulary': {
    peft_type: 'PROMPT_TUNING',
    num_virtual_tokens: 3,
    prompt_tuning_init: 'SAMPLE_VOCAB',
  },
  'P_TUNING, MLP': { peft_type: 'P_TUNING', num_virtual_tokens: 3, encoder_hidden_size: 5 },
  'P_TUNING, LSTM with dropout': {
    peft_type: 'P_TUNING',
    num_virtual_tokens: 4,
    encoder_reparameterization_type: 'LSTM',
    encoder_hidden_size: 5,
    encoder_num_layers: 2,
    encoder_dropout: 0.2,
  },
  'PREFIX_TUNING, plain': { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 3 },
  'PREFIX_TUNING, projected, from zero': {
    peft_type: 'PREFIX_TUNING',
    num_virtual_tokens: 3,
    prefix_projection: true,
    encoder_hidden_size: 6,
    init_weights: 'zero',
  },
};

/** The last parts of a model's module names. */
export interface ModuleNames {
  attention: string;
  feedForward: string;
  norm: string;
  keys: string[];
}

/** One configuration of each tuner, and DoRA, for a model whose modules have these names. */
export function onArchitecture({
  attention,
  feedForward,
  norm,
  keys,
}: ModuleNames): Record<string, Record<string, unknown>> {
  return {
    LORA: { peft_type: 'LORA', r: 2, target_modules: [attention, feedForward] },
    DoRA: { peft_type: 'LORA', r: 2, target_modules: 'all-linear', use_dora: true },
    IA3: {
      peft_type: 'IA3',
      target_modules: [...keys, feedForward],
      feedforward_modules: [feedForward],
    },
    LN_TUNING: { peft_type: 'LN_TUNING', target_modules: [norm] },
    TRAINABLE_TOKENS: {
      peft_type: 'TRAINABLE_TOKENS',
      token_indices: [51, 58, 111],
    },
    SELECTIVE: { peft_type: 'SELECTIVE', kinds: ['norm', 'attention'], layers: [1] },
    BOTTLENECK: {
      peft_type: 'BOTTLENECK',
      preset: 'double_seq_bn',
      reduction_factor: 4,
      non_linearity: 'gelu', // Finite differences fail at a ReLU's kink.
    },
    PROMPT_TUNING: { num_virtual_tokens: 3, peft_type: 'PROMPT_TUNING' },
    P_TUNING: { num_virtual_tokens: 3, peft_type: 'P_TUNING', encoder_hidden_size: 5 },
    PREFIX_TUNING: { num_virtual_tokens: 3, peft_type: 'PREFIX_TUNING' },
  };
}
