import { decoders as families } from '../../../packages/peft-core/src/outlines/decoders.ts';
import {
  decoder,
  decoderNames,
  deltaHeads,
  encoderRows,
  experts,
  gemma4,
  gemmaNorms,
  normedAfterNames,
  stateSpaceRows,
  t5,
  t5Names,
  underHead,
} from './architecture-fields.ts';
import type { ArchitectureRow } from './architecture-row.ts';

export type { ArchitectureRow };

const listedDecoders: ArchitectureRow[] = [
  {
    name: 'llama',
    task: 'CAUSAL_LM',
    // PyTorch gives this token's embedding no gradient.
    config: { ...decoder, model_type: 'llama', pad_token_id: 79 },
    paddingInData: true,
    names: decoderNames,
  },
  {
    name: 'llama-untied',
    task: 'CAUSAL_LM',
    config: {
      ...decoder,
      model_type: 'llama',
      tie_word_embeddings: false,
      head_dim: 24,
      attention_bias: true,
      rope_parameters: {
        rope_type: 'llama3',
        rope_theta: 500000,
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 64,
      },
    },
    names: { ...decoderNames, untiedHead: 'lm_head' },
  },
  {
    name: 'mistral',
    task: 'CAUSAL_LM',
    config: { ...decoder, model_type: 'mistral', tie_word_embeddings: false, sliding_window: 12 },
    names: { ...decoderNames, untiedHead: 'lm_head' },
  },
  {
    name: 'qwen2',
    task: 'CAUSAL_LM',
    config: {
      ...decoder,
      model_type: 'qwen2',
      use_sliding_window: true,
      sliding_window: 12,
      max_window_layers: 1,
    },
    names: decoderNames,
  },
  {
    name: 'qwen3',
    task: 'CAUSAL_LM',
    config: { ...decoder, model_type: 'qwen3', head_dim: 24 },
    names: decoderNames,
  },
  {
    name: 'qwen3_moe',
    task: 'CAUSAL_LM',
    config: { ...decoder, ...experts, model_type: 'qwen3_moe', mlp_only_layers: [0] },
    corners: true,
    names: { ...decoderNames, experts: ['mlp.experts.gate_up_proj', 'mlp.experts.down_proj'] },
  },
  {
    name: 'qwen3_moe-balanced',
    task: 'CAUSAL_LM',
    otherTasks: [],
    config: {
      ...decoder,
      ...experts,
      model_type: 'qwen3_moe',
      output_router_logits: true,
      // Large enough to be seen beside the loss of tokens.
      router_aux_loss_coef: 0.5,
    },
    jumps: true,
    sampled: true,
    names: { ...decoderNames, experts: ['mlp.experts.gate_up_proj', 'mlp.experts.down_proj'] },
  },
  {
    name: 'gpt_oss',
    task: 'CAUSAL_LM',
    config: {
      ...decoder,
      model_type: 'gpt_oss',
      tie_word_embeddings: false,
      head_dim: 16,
      num_local_experts: 4,
      num_experts_per_tok: 2,
      intermediate_size: 40,
      // Low enough that some values are clamped, and texts longer than the window and than the first span.
      swiglu_limit: 2.75,
      sliding_window: 12,
      rope_parameters: {
        rope_type: 'yarn',
        rope_theta: 150000,
        factor: 32,
        beta_fast: 32,
        beta_slow: 1,
        truncate: false,
        original_max_position_embeddings: 16,
      },
    },
    jumps: true,
    names: {
      ...decoderNames,
      // No part of the feed-forward network is a linear module.
      ia3: ['k_proj', 'v_proj', 'o_proj'],
      feedForward: ['o_proj'],
      biased: true,
      untiedHead: 'lm_head',
      experts: ['mlp.experts.gate_up_proj', 'mlp.experts.down_proj'],
    },
  },
  {
    name: 'ministral3',
    task: 'CAUSAL_LM',
    config: {
      ...decoder,
      model_type: 'ministral3',
      tie_word_embeddings: false,
      head_dim: 24,
      // The texts are longer than the first span.
      rope_parameters: {
        rope_type: 'yarn',
        rope_theta: 10000,
        factor: 16,
        original_max_position_embeddings: 16,
        mscale: 1,
        mscale_all_dim: 1,
        llama_4_scaling_beta: 0.1,
      },
    },
    names: { ...decoderNames, untiedHead: 'lm_head' },
  },
  {
    name: 'gemma3_text',
    task: 'CAUSAL_LM',
    otherTasks: ['SEQ_CLS', 'FEATURE_EXTRACTION'],
    config: {
      ...decoder,
      model_type: 'gemma3_text',
      head_dim: 24,
      query_pre_attn_scalar: 20,
      sliding_window: 12,
      layer_types: ['sliding_attention', 'full_attention'],
    },
    names: { ...decoderNames, norms: gemmaNorms },
  },
  {
    // Like E2B: inputs of each layer, and two layers that attend to the keys and values of the two before.
    name: 'gemma4_text',
    task: 'CAUSAL_LM',
    otherTasks: ['FEATURE_EXTRACTION'],
    config: {
      ...decoder,
      ...gemma4,
      num_hidden_layers: 4,
      layer_types: ['sliding_attention', 'full_attention', 'sliding_attention', 'full_attention'],
      num_kv_shared_layers: 2,
      use_double_wide_mlp: true,
      hidden_size_per_layer_input: 8,
    },
    names: { ...decoderNames, norms: gemmaNorms },
  },
  {
    // Like 12B and 31B: keys that are values, of fewer heads, in the layer without a window.
    name: 'gemma4_unified_text',
    task: 'CAUSAL_LM',
    otherTasks: ['FEATURE_EXTRACTION'],
    config: {
      ...decoder,
      ...gemma4,
      layer_types: ['sliding_attention', 'full_attention'],
      attention_k_eq_v: true,
      num_global_key_value_heads: 1,
      model_type: 'gemma4_unified_text',
    },
    sampled: true,
    names: { ...decoderNames, norms: gemmaNorms },
  },
  {
    name: 'phi3',
    task: 'CAUSAL_LM',
    config: {
      ...decoder,
      model_type: 'phi3',
      tie_word_embeddings: false,
      sliding_window: 12,
      rope_parameters: { rope_type: 'default', rope_theta: 10000, partial_rotary_factor: 0.75 },
    },
    names: {
      ...decoderNames,
      attention: ['qkv_proj', 'o_proj'],
      ia3: ['qkv_proj', 'down_proj'],
      untiedHead: 'lm_head',
    },
  },
  {
    name: 'smollm3',
    task: 'CAUSAL_LM',
    config: { ...decoder, model_type: 'smollm3', no_rope_layers: [1, 0] },
    names: decoderNames,
  },
  {
    name: 'granite',
    task: 'CAUSAL_LM',
    otherTasks: ['FEATURE_EXTRACTION'],
    config: {
      ...decoder,
      model_type: 'granite',
      embedding_multiplier: 4,
      attention_multiplier: 0.1,
      residual_multiplier: 0.4,
      logits_scaling: 2,
    },
    names: decoderNames,
  },
  {
    name: 'olmo2',
    task: 'CAUSAL_LM',
    otherTasks: ['SEQ_CLS', 'FEATURE_EXTRACTION'],
    config: { ...decoder, model_type: 'olmo2', tie_word_embeddings: false },
    names: { ...normedAfterNames, untiedHead: 'lm_head' },
  },
  {
    name: 'olmo3',
    task: 'CAUSAL_LM',
    otherTasks: ['SEQ_CLS', 'FEATURE_EXTRACTION'],
    config: {
      ...decoder,
      model_type: 'olmo3',
      sliding_window: 12,
      layer_types: ['sliding_attention', 'full_attention'],
    },
    names: normedAfterNames,
  },
  {
    name: 'gpt2',
    task: 'CAUSAL_LM',
    config: {
      model_type: 'gpt2',
      n_embd: 64,
      n_inner: 96,
      n_layer: 2,
      n_head: 4,
      n_positions: 256,
      bos_token_id: 1,
      eos_token_id: 2,
      pad_token_id: 3,
      // Two libraries do not draw the same elements.
      resid_pdrop: 0,
      embd_pdrop: 0,
      attn_pdrop: 0,
    },
    names: {
      attention: ['c_attn', 'attn.c_proj'],
      ia3: ['c_attn', 'mlp.c_proj'],
      feedForward: ['mlp.c_proj'],
      feedForwardContainer: 'mlp',
      norms: ['ln_1', 'ln_2', 'ln_f'],
      biased: true,
      embedding: 'wte',
      head: 'lm_head',
      untiedHead: null,
    },
  },
  {
    name: 'qwen3_5_text',
    task: 'CAUSAL_LM',
    otherTasks: ['SEQ_CLS', 'FEATURE_EXTRACTION'],
    config: { ...decoder, model_type: 'qwen3_5_text', ...deltaHeads, head_dim: 32 },
    names: {
      ...decoderNames,
      attention: ['q_proj', 'in_proj_qkv'],
      ia3: ['in_proj_qkv', 'k_proj', 'v_proj', 'down_proj'],
      norms: ['input_layernorm', 'post_attention_layernorm', 'norm'],
    },
  },
  {
    name: 'qwen3_next',
    task: 'CAUSAL_LM',
    seed: 12,
    config: {
      ...decoder,
      ...experts,
      model_type: 'qwen3_next',
      ...deltaHeads,
      shared_expert_intermediate_size: 24,
      mlp_only_layers: [1],
    },
    corners: true,
    names: {
      ...decoderNames,
      attention: ['q_proj', 'in_proj_qkvz'],
      ia3: ['in_proj_qkvz', 'k_proj', 'v_proj', 'down_proj'],
      experts: ['mlp.experts.gate_up_proj', 'mlp.experts.down_proj'],
    },
  },
  {
    name: 'qwen3_5_moe_text',
    task: 'CAUSAL_LM',
    otherTasks: ['FEATURE_EXTRACTION'],
    config: {
      ...decoder,
      ...experts,
      ...deltaHeads,
      model_type: 'qwen3_5_moe_text',
      shared_expert_intermediate_size: 24,
    },
    corners: true,
    sampled: true,
    names: {
      ...decoderNames,
      attention: ['q_proj', 'in_proj_qkv'],
      ia3: ['in_proj_qkv', 'k_proj', 'v_proj', 'down_proj'],
      experts: ['mlp.experts.gate_up_proj', 'mlp.experts.down_proj'],
    },
  },
  ...stateSpaceRows,
];

/** Decoders with the fields and names of llama. */
const likeLlama = Object.entries(families).flatMap(([type, { textGguf }]): ArchitectureRow[] =>
  textGguf || listedDecoders.some(({ config }) => config.model_type === type)
    ? []
    : [{ name: type, task: 'CAUSAL_LM', config: { ...decoder, model_type: type }, names: decoderNames }],
);
const decoders = [...listedDecoders, ...likeLlama];

const llama = { config: { ...decoder, model_type: 'llama' }, names: decoderNames };
const otherDecoders = decoders.filter(({ config }) => config.model_type !== 'llama');

/** The seeds of models that from the usual one do not learn in a few steps, or choose between experts that are nearly equal. */
const seeds: Record<string, number> = { 'qwen2 FEATURE_EXTRACTION': 20, 'qwen3_next FEATURE_EXTRACTION': 31 };
const seedOf = (name: string) => (seeds[name] === undefined ? {} : { seed: seeds[name] });

/** Models that read a whole text, for what its tokens or itself are. */
const readers: ArchitectureRow[] = [
  ...encoderRows('bert'),
  ...encoderRows('roberta'),
  underHead(llama, 'SEQ_CLS'),
  underHead(llama, 'TOKEN_CLS'),
  { ...underHead(llama, 'FEATURE_EXTRACTION'), sampled: true },
  ...otherDecoders.flatMap((row) =>
    (row.otherTasks ?? (['SEQ_CLS', 'TOKEN_CLS', 'FEATURE_EXTRACTION'] as const)).map((task) => ({
      ...underHead(row, task),
      ...seedOf(`${row.config.model_type} ${task}`),
      sampled: true as const,
    })),
  ),
];

const encoderDecoders: ArchitectureRow[] = [
  {
    name: 't5',
    task: 'SEQ_2_SEQ_LM',
    // As FLAN-T5: a separate head, and a gate.
    config: { ...t5, tie_word_embeddings: false, feed_forward_proj: 'gated-gelu' },
    names: { ...t5Names, untiedHead: 'lm_head' },
  },
  {
    name: 't5-plain',
    task: 'SEQ_2_SEQ_LM',
    config: { ...t5, feed_forward_proj: 'relu', relative_attention_max_distance: 20 },
    corners: true,
    names: t5Names,
  },
];

/** Every architecture, in parts that take about equally long, each with its own test file. */
export const parts = { decoders, readers, encoderDecoders };
export const architectures: ArchitectureRow[] = [...decoders, ...readers, ...encoderDecoders];
