import type { DecoderRow } from '../decoder.ts';
import { slidingByType, windowsByType } from '../decoder-layers.ts';
import { decoderGguf, missingOf } from '../gguf/decoder-gguf.ts';
import { ropeFields } from '../rope.ts';

/** Returns which layers are rotated: by `no_rope_layers` (1 = rotated), or all but every fourth. */
function rotated(config: Record<string, unknown>): (layer: number) => boolean {
  const listed = config.no_rope_layers;
  if (Array.isArray(listed)) return (layer) => Boolean(listed[layer]);
  const interval = Number(config.no_rope_layer_interval ?? 4);
  return (layer) => (layer + 1) % interval !== 0;
}

/**
 * SmolLM3: as llama, without rotation in every fourth layer. Source: transformers, models/smollm3/configuration_smollm3.py and
 * modeling_smollm3.py.
 */
export const smollm3: DecoderRow = {
  className: 'SmolLM3',
  defaultTargets: {},
  adaptersInterface: null,
  defaults: {
    num_key_value_heads: 4,
    max_position_embeddings: 32_768,
    pad_token_id: 128_004,
    tie_word_embeddings: true,
  },
  gguf: {
    ...decoderGguf,
    architecture: 'smollm3',
    interleaved: true,
    // llama.cpp computes every such model so.
    config: (header) => ({ ...decoderGguf.config(header), no_rope_layer_interval: 4 }),
    missing: (outline) => missingOf(outline, { unrotatedEvery: 4, rotation: 'whole heads' }),
  },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: config.flag('mlp_bias') };
  },
  windows(config, fields) {
    const isRotated = rotated(config);
    const slides = fields.flag('use_sliding_window');
    return windowsByType(
      config,
      fields,
      slidingByType(config, fields, (layer) => slides && !isRotated(layer)),
    );
  },
  ropes(config) {
    const isRotated = rotated(config);
    const each = [{ rope_theta: 2_000_000, ...ropeFields(config) }];
    return { each, of: (layer) => (isRotated(layer) ? 0 : null) };
  },
};
