import type { DecoderRow } from '../decoder.ts';
import { casePattern } from '../decoder-files.ts';
import { oneWindow } from '../decoder-layers.ts';
import { decoderGguf, f32, missingOf } from '../gguf/decoder-gguf.ts';
import { type RopeFields, ropeFields } from '../rope.ts';

/** transformers' default for the rotation. */
const defaultRope: RopeFields = {
  rope_type: 'yarn',
  rope_theta: 1_000_000,
  factor: 16,
  original_max_position_embeddings: 16_384,
  beta_fast: 32,
  beta_slow: 1,
  mscale: 1,
  mscale_all_dim: 1,
  llama_4_scaling_beta: 0.1,
};

const ropeOfConfig = (config: Record<string, unknown>): RopeFields =>
  config.rope_parameters == null && config.rope_scaling == null ? defaultRope : ropeFields(config);

/**
 * Ministral 3: as Mistral, with YaRN, and queries that grow with their position. Source: transformers,
 * models/ministral3/configuration_ministral3.py and modeling_ministral3.py.
 */
export const ministral3: DecoderRow = {
  className: 'Ministral3',
  defaultTargets: {},
  adaptersInterface: null,
  defaults: {
    num_key_value_heads: 8,
    head_dim: 128,
    max_position_embeddings: 262_144,
    pad_token_id: 11,
    rms_norm_eps: 1e-5,
  },
  gguf: {
    ...decoderGguf,
    architecture: 'mistral3',
    interleaved: true,
    preTokenizers: { tekken: { pattern: casePattern('', '\\p{N}'), ignoreMerges: true } },
    config(header) {
      const { rope_scaling, rope_theta, ...config } = decoderGguf.config(header);
      const growth = header.optionalDecimal('attention.temperature_scale');
      return {
        ...config,
        rope_parameters: {
          rope_theta,
          ...(rope_scaling as object | null),
          ...(growth !== undefined && { llama_4_scaling_beta: growth }),
        },
      };
    },
    fields: (outline) => ({
      ...decoderGguf.fields(outline),
      ...(outline.queryGrowth && { 'attention.temperature_scale': f32(outline.queryGrowth.weight) }),
    }),
    missing: (outline) => missingOf(outline, { yarnBetas: 'any', rotation: 'whole heads' }),
  },
  bias: () => ({ qkv: false, output: false, mlp: false }),
  windows: oneWindow,
  ropes: (config) => ({ each: [ropeOfConfig(config)], of: () => 0 }),
  layers(config) {
    const { llama_4_scaling_beta: weight, original_max_position_embeddings: span } = ropeOfConfig(config);
    const grows = typeof weight === 'number' && typeof span === 'number';
    return { queryGrowth: grows ? { weight, span } : null };
  },
};
