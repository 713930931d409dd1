import type { DecoderRow } from '../decoder.ts';
import { allButEvery, slidingByType, windowsByType } from '../decoder-layers.ts';
import { sparseNetwork } from '../experts.ts';
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

/**
 * gpt-oss: experts in every layer, attention with sinks, a window in every other layer. Source: transformers,
 * models/gpt_oss/configuration_gpt_oss.py and modeling_gpt_oss.py.
 */
export const gptOss: DecoderRow = {
  className: 'GptOss',
  // PEFT 0.21.2 has none for this architecture.
  defaultTargets: {},
  adaptersInterface: null,
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
  sinks: true,
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
    clamped: { slope: fields.positive('swiglu_alpha', 1.702), limit: fields.positive('swiglu_limit', 7) },
  }),
};
