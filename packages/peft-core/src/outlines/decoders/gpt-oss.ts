import type { DecoderOutline, DecoderRow } from '../decoder.ts';
import { allButEvery, slidingByType, windowsByType } from '../decoder-layers.ts';
import { biasedExpertTensorsOfGguf, expertPartsOfGguf, sparseNetwork } from '../experts.ts';
import {
  attentionParts,
  decoderGguf,
  lastRope,
  missingOf,
  missingWindows,
  u32,
  windowPeriod,
} from '../gguf/decoder-gguf.ts';
import type { GgufFamily } from '../gguf/gguf-family.ts';
import { roundedBounds } from '../gguf/rope-gguf.ts';
import { type RopeFields, ropeFields } from '../rope.ts';

/** transformers' default for the rotation. */
const defaultRope: RopeFields = {
  rope_type: 'yarn',
  factor: 32,
  beta_fast: 32,
  beta_slow: 1,
  truncate: false,
  original_max_position_embeddings: 4096,
};

/** The clamped gate that checkpoints have where config.json says nothing, and the only one that llama.cpp computes. */
const gate = { slope: 1.702, limit: 7 };

/** Windows in all layers but every second, as llama.cpp computes them where a file says nothing. */
const period = 2;

const attentionModules = ['q_proj', 'k_proj', 'v_proj', 'o_proj'];

/** How llama.cpp stores gpt-oss. Source: llama.cpp, conversion/gpt_oss.py and src/models/openai-moe.cpp. */
const gguf: GgufFamily<DecoderOutline> = {
  ...decoderGguf,
  architecture: 'gpt-oss',
  bareParts: ['attn_sinks'],
  needsOutput: true,
  expertTensors: biasedExpertTensorsOfGguf,
  alternatingExperts: true,
  blockParts: {
    ...attentionParts,
    attn_sinks: 'self_attn.sinks',
    post_attention_norm: 'post_attention_layernorm',
    ffn_gate_inp: 'mlp.router',
    ...expertPartsOfGguf,
  },
  config(header) {
    const { rope_scaling, rope_theta, mlp_bias: _, ...config } = decoderGguf.config(header);
    const isSliding = allButEvery(header.count('attention.sliding_window_pattern') ?? period);
    // Files of models without windows have one of the whole context.
    const window = header.size('attention.sliding_window');
    const hasWindows = window < config.max_position_embeddings;
    // Files do not have `truncate`; published models are without.
    const scaling = rope_scaling?.rope_type === 'yarn' ? { ...rope_scaling, truncate: false } : rope_scaling;
    return {
      ...config,
      intermediate_size: header.count('expert_feed_forward_length') ?? config.intermediate_size,
      layer_types: Array.from({ length: config.num_hidden_layers }, (_, layer) =>
        hasWindows && isSliding(layer) ? 'sliding_attention' : 'full_attention',
      ),
      num_experts_per_tok: header.size('expert_used_count'),
      num_local_experts: header.size('expert_count'),
      rope_parameters: { rope_theta, ...(scaling ?? { rope_type: 'default' }) },
      sliding_window: window,
      swiglu_limit: gate.limit,
    };
  },
  fields: (outline) => ({
    ...decoderGguf.fields(outline),
    expert_count: u32(outline.sparse!.experts),
    expert_used_count: u32(outline.sparse!.chosen),
    expert_feed_forward_length: u32(outline.sparse!.width),
    'attention.sliding_window': u32(outline.window(0) ?? outline.maxPositions),
  }),
  missing(outline) {
    const { slope, limit } = outline.sparse!.clamped!;
    if (slope !== gate.slope || limit !== gate.limit)
      return `gate of experts with swiglu_alpha ${slope} and swiglu_limit ${limit}, but ${gate.slope} and ${gate.limit}`;
    if (!outline.parameters.some(({ name }) => name.endsWith('.q_proj.bias')))
      return 'attention without biases in models of this kind';
    if (missingWindows(outline) ?? (windowPeriod(outline) ?? period) !== period)
      return 'attention windows in other layers than all but every second';
    return missingOf(outline, {
      biases: [...attentionModules.map((name) => `self_attn.${name}`), 'mlp.router'],
      rotation: 'whole heads',
      yarnBounds: 'rounded',
    });
  },
  notes(outline) {
    const note = roundedBounds(lastRope(outline), outline);
    return note === null ? [] : [note];
  },
};

/**
 * gpt-oss: experts in every layer, attention with sinks, a window in every other layer. Source: transformers,
 * models/gpt_oss/configuration_gpt_oss.py and modeling_gpt_oss.py.
 */
export const gptOss: DecoderRow = {
  className: 'GptOss',
  // PEFT 0.21.2 has none for this architecture.
  defaultTargets: {},
  adaptersInterface: null,
  gguf,
  turnedExperts: ['mlp.experts.gate_up_proj', 'mlp.experts.down_proj'],
  defaults: {
    head_dim: 64,
    num_key_value_heads: 8,
    intermediate_size: 2880,
    num_experts_per_tok: 4,
    sliding_window: 128,
    max_position_embeddings: 131_072,
    rms_norm_eps: 1e-5,
  },
  bias(config) {
    const own = config.flag('attention_bias', true);
    return { qkv: own, output: own, mlp: false };
  },
  layers: () => ({ sinks: true }),
  windows: (config, fields) => windowsByType(config, fields, slidingByType(config, fields, allButEvery(2))),
  ropes(config) {
    const given = ropeFields(config);
    const own = config.rope_parameters == null && config.rope_scaling == null ? defaultRope : {};
    return { each: [{ rope_theta: 150_000, ...own, ...given }], of: () => 0 };
  },
  sparse: (config, fields) => ({
    ...sparseNetwork(config, fields),
    normalised: true,
    router: 'router',
    width: fields.size('intermediate_size'),
    clamped: {
      slope: fields.positive('swiglu_alpha', gate.slope),
      limit: fields.positive('swiglu_limit', gate.limit),
    },
  }),
};
