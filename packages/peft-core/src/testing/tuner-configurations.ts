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
  'MISS, plain': { peft_type: 'MISS', r: 5, target_modules: 'all-linear' },
  'MISS, with the head, biases and dropout': {
    peft_type: 'MISS',
    r: 4,
    target_modules: ['q_proj', 'lm_head'],
    layers_to_transform: [1],
    miss_dropout: 0.1,
    bias: 'MiSS_only',
  },
  'MISS, random start, norms saved': {
    peft_type: 'MISS',
    r: 3,
    target_modules: ['down_proj'],
    init_weights: false,
    modules_to_save: ['norm'],
  },
  'MISS, bat': { peft_type: 'MISS', r: 4, target_modules: ['q_proj', 'up_proj'], init_weights: 'bat' },
  'MISS, mini': {
    peft_type: 'MISS',
    r: 6,
    mini_r: 2,
    target_modules: ['k_proj', 'down_proj'],
    init_weights: 'mini',
  },
  'OFT, with the embedding and the head': {
    peft_type: 'OFT',
    oft_block_size: 8,
    target_modules: ['q_proj', 'embed_tokens', 'lm_head'],
  },
  'OFT, exact, random start, biases': {
    peft_type: 'OFT',
    oft_block_size: 0,
    r: 4,
    target_modules: 'all-linear',
    use_cayley_neumann: false,
    init_weights: false,
    bias: 'oft_only',
  },
  'OFT, one rotation for all blocks, in three terms': {
    peft_type: 'OFT',
    oft_block_size: 5,
    target_modules: ['down_proj'],
    block_share: true,
    num_cayley_neumann_terms: 3,
    modules_to_save: ['norm'],
  },
  'HIRA, every linear layer': { peft_type: 'HIRA', r: 3, target_modules: 'all-linear' },
  'HIRA, embedding and head, random start': {
    peft_type: 'HIRA',
    r: 2,
    target_modules: ['embed_tokens', 'lm_head', 'v_proj'],
    init_weights: false,
  },
  'HIRA, dropout, normal start, norms saved': {
    peft_type: 'HIRA',
    r: 2,
    target_modules: ['q_proj'],
    hira_dropout: 0.2,
    init_weights: 'gaussian',
    modules_to_save: ['norm'],
  },
  'LOKR, every linear layer, patterns': {
    peft_type: 'LOKR',
    r: 2,
    alpha: 6,
    target_modules: 'all-linear',
    rank_pattern: { down_proj: 1 },
    alpha_pattern: { q_proj: 3 },
  },
  'LOKR, both decomposed, random start, head': {
    peft_type: 'LOKR',
    r: 1,
    target_modules: ['v_proj', 'lm_head'],
    decompose_both: true,
    decompose_factor: 4,
    init_weights: false,
  },
  "LOKR, LyCORIS's start, dropout": {
    peft_type: 'LOKR',
    r: 8,
    target_modules: ['q_proj'],
    init_weights: 'lycoris',
    rank_dropout: 0.2,
    rank_dropout_scale: true,
    module_dropout: 0.1,
  },
  'LOHA, every linear layer, patterns': {
    peft_type: 'LOHA',
    r: 2,
    alpha: 6,
    target_modules: 'all-linear',
    rank_pattern: { down_proj: 3 },
  },
  'LOHA, random start, dropout, norms saved': {
    peft_type: 'LOHA',
    r: 3,
    target_modules: ['v_proj', 'lm_head'],
    init_weights: false,
    rank_dropout: 0.2,
    module_dropout: 0.1,
    modules_to_save: ['norm'],
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
    MISS: { peft_type: 'MISS', r: 4, target_modules: [attention, feedForward] },
    OFT: { peft_type: 'OFT', oft_block_size: 8, target_modules: [attention, feedForward] },
    HIRA: { peft_type: 'HIRA', r: 2, target_modules: [attention, feedForward] },
    LOKR: { peft_type: 'LOKR', r: 2, alpha: 6, target_modules: [attention, feedForward] },
    LOHA: { peft_type: 'LOHA', r: 2, alpha: 6, target_modules: [attention, feedForward] },
  };
}
