/** Tests every tuner on a tiny model of each architecture; conformance.test.ts tests every option of each tuner, on llama. */
import { modelTypes } from '../outlines/index.ts';
import { type ConformanceModel, testTuners } from '../testing/test-tuners.ts';
import { tinyConfigOf, tinyFamilies } from '../testing/tiny-families.ts';
import { tinyConfig } from '../testing/tiny-model.ts';
import { type ModuleNames, onArchitecture } from '../testing/tuner-configurations.ts';

/** A model and the last parts of its module names. */
interface Family extends ConformanceModel, ModuleNames {
  /** The only methods to test: for layers that differ from llama's only in what they do to queries and keys. */
  only?: string[];
  /** Methods that HF PEFT, or for BOTTLENECK the adapters library, does not have for these layers. */
  without?: string[];
  /** Further configurations. */
  more?: Record<string, Record<string, unknown>>;
}

const answers = {
  line: (i: number) => ({ prompt: `${i}:`, completion: ` ${i % 2 ? 'odd' : 'even'}` }),
  probes: [{ text: '3: odd' }, { text: 'anything else?' }],
};
const embeddings = {
  line: (i: number) => ({ anchor: `${i} a`, positive: `${i} is the same` }),
  probes: answers.probes,
};
const pairs = {
  line: (i: number) => ({ text: `${i}:`, target: i % 2 ? 'odd' : 'even' }),
  probes: [
    { text: '3:', target: 'odd' },
    { text: 'anything', target: 'else?' },
  ],
};
const decoder = {
  ...answers,
  attention: 'q_proj',
  feedForward: 'down_proj',
  norm: 'input_layernorm',
  keys: ['k_proj', 'v_proj'],
};
/** A method that changes layers, one that scales keys, and one that adds keys before the sequence. */
const likeLlama = { ...decoder, only: ['LORA', 'IA3', 'PREFIX_TUNING'] };
const encoder = {
  ...embeddings,
  attention: 'query',
  feedForward: 'output.dense',
  norm: 'output.LayerNorm',
  keys: ['key', 'value'],
};

/** Norms of sublayers' outputs instead of their inputs. */
const normedAfter = { ...decoder, norm: 'post_feedforward_layernorm' };
const expertParameters = ['mlp.experts.gate_up_proj', 'mlp.experts.down_proj'];

/** By `model_type`: families that differ from llama in names or sizes. conformance.test.ts covers llama. */
const families: Record<string, Family> = {
  mistral: { ...likeLlama, config: { model_type: 'mistral', sliding_window: 6 } },
  qwen3_5_text: {
    ...decoder,
    config: tinyFamilies.qwen3_5_text,
    without: ['BOTTLENECK', 'PREFIX_TUNING'],
    attention: 'in_proj_qkv',
    keys: ['in_proj_qkv', 'k_proj'],
  },
  smollm3: { ...likeLlama, config: { model_type: 'smollm3', no_rope_layers: [1, 0] } },
  gemma3_text: {
    ...decoder,
    config: {
      model_type: 'gemma3_text',
      sliding_window: 6,
      layer_types: ['sliding_attention', 'full_attention'],
    },
  },
  gemma3: {
    ...likeLlama,
    config: { model_type: 'gemma3', text_config: { ...tinyConfig, model_type: 'gemma3_text' } },
  },
  gemma4_text: {
    ...decoder,
    // Layers read numbers of each token, and the library of BOTTLENECK does not have them.
    without: ['PROMPT_TUNING', 'P_TUNING', 'PREFIX_TUNING', 'BOTTLENECK'],
    // The padding token's embedding has no gradient, as in PyTorch.
    config: { ...tinyFamilies.gemma4_text, pad_token_id: 5 },
    more: {
      'LORA, every linear layer and the table of inputs': {
        peft_type: 'LORA',
        r: 2,
        target_modules: [
          'per_layer_input_gate',
          'per_layer_model_projection',
          'embed_tokens_per_layer',
          'k_proj',
        ],
        modules_to_save: ['per_layer_projection_norm'],
      },
    },
  },
  gemma4: {
    ...decoder,
    only: ['LORA', 'IA3', 'PROMPT_TUNING'],
    config: { model_type: 'gemma4', text_config: { ...tinyConfig, ...tinyFamilies.gemma4_text_dense } },
  },
  gemma4_unified_text: {
    ...decoder,
    only: ['LORA', 'IA3'],
    config: { ...tinyFamilies.gemma4_text_dense, model_type: 'gemma4_unified_text' },
  },
  gemma4_unified: {
    ...decoder,
    only: ['LORA'],
    config: {
      model_type: 'gemma4_unified',
      text_config: { ...tinyConfig, ...tinyFamilies.gemma4_text_dense, model_type: 'gemma4_unified_text' },
    },
  },
  mistral3: {
    ...likeLlama,
    config: { model_type: 'mistral3', text_config: { ...tinyConfig, model_type: 'ministral3' } },
  },
  qwen3_5: {
    ...decoder,
    only: ['LORA', 'IA3'],
    config: { model_type: 'qwen3_5', text_config: { ...tinyConfig, ...tinyFamilies.qwen3_5_text } },
  },
  granite: {
    ...decoder,
    without: ['BOTTLENECK'],
    config: {
      model_type: 'granite',
      embedding_multiplier: 3,
      attention_multiplier: 0.2,
      residual_multiplier: 0.4,
      logits_scaling: 2,
    },
  },
  olmo2: { ...normedAfter, without: ['BOTTLENECK'], config: { model_type: 'olmo2' } },
  olmo3: {
    ...normedAfter,
    only: likeLlama.only,
    config: { model_type: 'olmo3', sliding_window: 6, layer_types: ['sliding_attention', 'full_attention'] },
  },
  phi3: {
    ...decoder,
    without: ['BOTTLENECK'],
    attention: 'qkv_proj',
    keys: ['qkv_proj'],
    config: { model_type: 'phi3', partial_rotary_factor: 0.75 },
  },
  qwen3_moe: {
    ...decoder,
    config: {
      model_type: 'qwen3_moe',
      num_experts: 4,
      num_experts_per_tok: 2,
      moe_intermediate_size: 16,
      mlp_only_layers: [0],
      norm_topk_prob: true,
    },
    // DoRA is for linear modules.
    only: ['LORA', 'IA3', 'LN_TUNING', 'SELECTIVE', 'PREFIX_TUNING'],
    more: {
      'LORA, experts alone': { peft_type: 'LORA', r: 2, target_parameters: expertParameters },
      'LORA, experts, random start, rank-stabilised': {
        peft_type: 'LORA',
        r: 3,
        target_modules: ['q_proj'],
        target_parameters: ['experts.gate_up_proj'],
        init_lora_weights: false,
        use_rslora: true,
      },
      'LORA, every linear layer': { peft_type: 'LORA', r: 2, target_modules: 'all-linear' },
      'LORA, as chosen': { peft_type: 'LORA', r: 2, target_modules: 'all-linear', target_parameters: [] },
      'LORA, experts and router in full': {
        peft_type: 'LORA',
        r: 2,
        target_modules: ['q_proj'],
        modules_to_save: ['mlp.experts', 'mlp.gate'],
      },
    },
  },
  gpt_oss: {
    ...decoder,
    // No part of the feed-forward network is a linear module.
    feedForward: 'o_proj',
    config: tinyFamilies.gpt_oss,
    without: ['BOTTLENECK'],
    more: {
      'LORA, experts alone': { peft_type: 'LORA', r: 2, target_parameters: expertParameters },
      'LORA, experts and router, random start': {
        peft_type: 'LORA',
        r: 3,
        target_modules: ['q_proj'],
        target_parameters: ['experts.down_proj', 'mlp.router.weight'],
        init_lora_weights: false,
      },
      'LORA, every linear layer': { peft_type: 'LORA', r: 2, target_modules: 'all-linear' },
      'LORA, experts and router in full': {
        peft_type: 'LORA',
        r: 2,
        target_modules: ['q_proj'],
        modules_to_save: ['mlp.experts', 'mlp.router'],
      },
      'SELECTIVE, attention with its sinks': { peft_type: 'SELECTIVE', trainable: ['self_attn'] },
    },
  },
  qwen3_next: {
    ...decoder,
    config: tinyFamilies.qwen3_next,
    only: ['LORA', 'IA3', 'LN_TUNING', 'SELECTIVE', 'PROMPT_TUNING'],
    attention: 'in_proj_qkvz',
    keys: ['in_proj_qkvz', 'k_proj'],
    more: {
      'LORA, every linear layer': { peft_type: 'LORA', r: 2, target_modules: 'all-linear' },
      'LORA, the shared expert and its gate': {
        peft_type: 'LORA',
        r: 2,
        target_modules: ['shared_expert_gate', 'in_proj_ba'],
        // The gate has one output.
        rank_pattern: { shared_expert_gate: 1 },
        target_parameters: expertParameters,
        modules_to_save: ['shared_expert'],
      },
    },
  },
  qwen3_5_moe_text: {
    ...decoder,
    config: { ...tinyFamilies.qwen3_next, model_type: 'qwen3_5_moe_text' },
    only: ['LORA', 'IA3', 'SELECTIVE'],
    attention: 'in_proj_qkv',
    keys: ['in_proj_qkv', 'k_proj'],
    more: { 'LORA, every linear layer': { peft_type: 'LORA', r: 2, target_modules: 'all-linear' } },
  },
  qwen3_5_moe: {
    ...decoder,
    only: ['LORA'],
    config: {
      model_type: 'qwen3_5_moe',
      text_config: { ...tinyConfig, ...tinyFamilies.qwen3_next, model_type: 'qwen3_5_moe_text' },
    },
  },
  granitemoehybrid: {
    ...decoder,
    config: tinyFamilies.granitemoehybrid,
    without: ['BOTTLENECK', 'PREFIX_TUNING'],
    attention: 'in_proj',
    feedForward: 'output_linear',
    keys: ['in_proj', 'k_proj'],
    more: {
      'LORA, every linear layer': { peft_type: 'LORA', r: 2, target_modules: 'all-linear', bias: 'all' },
      'LORA, experts and router, random start': {
        peft_type: 'LORA',
        r: 3,
        target_modules: ['out_proj'],
        target_parameters: ['experts.gate_up_proj', 'experts.down_proj', 'block_sparse_moe.router.weight'],
        init_lora_weights: false,
      },
      'LORA, experts and the whole mixer in full': {
        peft_type: 'LORA',
        r: 2,
        target_modules: ['input_linear'],
        modules_to_save: ['block_sparse_moe.experts', 'block_sparse_moe.router', 'mamba'],
      },
      'SELECTIVE, the state space': { peft_type: 'SELECTIVE', trainable: ['mamba'] },
    },
  },
  gpt2: {
    ...answers,
    config: tinyFamilies.gpt2,
    attention: 'c_attn',
    feedForward: 'mlp.c_proj',
    without: ['MISS', 'OFT', 'LOKR', 'LOHA'],
    norm: 'ln_2',
    keys: ['c_attn'],
  },
  bert: { ...encoder, config: tinyFamilies.bert },
  roberta: { ...encoder, config: tinyFamilies.roberta },
  t5: {
    ...pairs,
    config: tinyFamilies.t5,
    attention: 'q',
    feedForward: 'wo',
    norm: 'layer_norm',
    keys: ['k', 'v'],
  },
};

for (const type of modelTypes.filter((each) => each !== 'llama')) {
  const family: Family = families[type] ?? { ...likeLlama, config: tinyConfigOf(type) };
  const encodes = family.line === embeddings.line;
  const task_type = encodes ? 'FEATURE_EXTRACTION' : type === 't5' ? 'SEQ_2_SEQ_LM' : 'CAUSAL_LM';
  const rows = Object.entries(onArchitecture(family)).filter(
    ([name]) => (family.only?.includes(name) ?? true) && !family.without?.includes(name),
  );
  testTuners(
    family,
    Object.fromEntries(
      [...rows, ...Object.entries(family.more ?? {})].map(([name, options]) => [
        `${type}, ${name}`,
        { task_type, ...options },
      ]),
    ),
  );
}
