import type { TaskType } from '@graft/peft-core/outlines';
import type { ArchitectureRow } from './architecture-row.ts';

/** Fields of config.json and names of modules that rows of `architectures.ts` share. */
export const decoder = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  bos_token_id: 1,
  eos_token_id: 2,
  pad_token_id: 3,
  tie_word_embeddings: true,
};
export const decoderNames = {
  attention: ['q_proj', 'v_proj'],
  ia3: ['k_proj', 'v_proj', 'down_proj'],
  feedForward: ['down_proj'],
  feedForwardContainer: 'mlp',
  norms: ['input_layernorm', 'post_attention_layernorm', 'norm'],
  biased: false,
  embedding: 'embed_tokens',
  head: 'lm_head',
  untiedHead: null,
};

/** Names of layers with norms of their sublayers' outputs instead of their inputs. */
export const normedAfterNames = {
  ...decoderNames,
  norms: ['post_attention_layernorm', 'post_feedforward_layernorm', 'norm'],
};

export const gemmaNorms = [
  'input_layernorm',
  'post_attention_layernorm',
  'pre_feedforward_layernorm',
  'post_feedforward_layernorm',
  'norm',
];

export const gemma4 = {
  model_type: 'gemma4_text',
  head_dim: 16,
  global_head_dim: 24,
  sliding_window: 12,
  final_logit_softcapping: 10.5,
};

export const experts = {
  head_dim: 16,
  num_experts: 4,
  num_experts_per_tok: 2,
  moe_intermediate_size: 40,
  norm_topk_prob: true,
};

/** One layer with a state, one with attention. */
export const deltaHeads = {
  full_attention_interval: 2,
  linear_num_key_heads: 2,
  linear_num_value_heads: 4,
  linear_key_head_dim: 16,
  linear_value_head_dim: 12,
};

/** One layer with a state space, one with attention. */
const stateSpace = {
  model_type: 'granitemoehybrid',
  shared_intermediate_size: 48,
  embedding_multiplier: 3,
  attention_multiplier: 0.1,
  residual_multiplier: 0.4,
  logits_scaling: 2,
  layer_types: ['mamba', 'attention'],
  mamba_n_heads: 8,
  mamba_d_state: 12,
};
/** Names of its layers. */
const stateSpaceNames = {
  ...decoderNames,
  attention: ['q_proj', 'in_proj'],
  ia3: ['in_proj', 'k_proj', 'v_proj', 'output_linear'],
  feedForward: ['output_linear'],
  feedForwardContainer: 'shared_mlp',
};

export const stateSpaceRows: ArchitectureRow[] = [
  {
    name: 'granitemoehybrid',
    task: 'CAUSAL_LM',
    otherTasks: ['FEATURE_EXTRACTION'],
    config: { ...decoder, ...stateSpace, num_local_experts: 0, num_experts_per_tok: 0 },
    names: stateSpaceNames,
  },
  {
    name: 'granitemoehybrid-experts',
    task: 'CAUSAL_LM',
    otherTasks: [],
    config: {
      ...decoder,
      ...stateSpace,
      intermediate_size: 40,
      num_local_experts: 4,
      num_experts_per_tok: 2,
      position_embedding_type: 'rope',
      mamba_n_groups: 2,
      tie_word_embeddings: false,
    },
    corners: true,
    jumps: true,
    names: {
      ...stateSpaceNames,
      untiedHead: 'lm_head',
      experts: ['block_sparse_moe.experts.gate_up_proj', 'block_sparse_moe.experts.down_proj'],
    },
  },
];

export const encoder = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 260,
  pad_token_id: 3,
  layer_norm_eps: 1e-5,
  num_labels: 3,
  // Two libraries do not draw the same elements.
  hidden_dropout_prob: 0,
  attention_probs_dropout_prob: 0,
};
export const encoderNames = {
  attention: ['query', 'value'],
  ia3: ['key', 'value', 'output.dense'],
  feedForward: ['output.dense'],
  feedForwardContainer: 'intermediate',
  norms: ['LayerNorm'],
  biased: true,
  embedding: 'word_embeddings',
  head: null,
  untiedHead: null,
};
/** One row for each task of an encoder. */
export const encoderRows = (model_type: 'bert' | 'roberta'): ArchitectureRow[] =>
  (['SEQ_CLS', 'TOKEN_CLS', 'FEATURE_EXTRACTION'] as const).map((task) => ({
    name: `${model_type} ${task}`,
    task,
    config: { ...encoder, model_type },
    names: encoderNames,
  }));

/** A decoder's layers under the head of another task. */
export const underHead = (
  { config, names }: Pick<ArchitectureRow, 'config' | 'names'>,
  task: TaskType,
): ArchitectureRow => ({
  name: `${config.model_type} ${task}`,
  task,
  config: { ...config, num_labels: 3, classifier_dropout: 0 },
  names: { ...names, head: null, untiedHead: null },
});

export const t5 = {
  model_type: 't5',
  d_model: 64,
  d_kv: 16,
  d_ff: 96,
  num_layers: 2,
  num_heads: 4,
  relative_attention_num_buckets: 16,
  dropout_rate: 0,
  pad_token_id: 3,
  eos_token_id: 2,
  decoder_start_token_id: 3,
};
export const t5Names = {
  attention: ['q', 'v'],
  ia3: ['k', 'v', 'wo'],
  feedForward: ['wo'],
  feedForwardContainer: 'DenseReluDense',
  norms: ['layer_norm', 'final_layer_norm'],
  biased: false,
  embedding: 'embed_tokens',
  head: 'lm_head',
  untiedHead: null,
};
