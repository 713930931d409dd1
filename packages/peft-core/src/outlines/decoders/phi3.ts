import type { DecoderRow } from '../decoder.ts';
import { casePattern } from '../decoder-files.ts';
import { oneWindow } from '../decoder-layers.ts';
import { decoderGguf, missingOf, u32 } from '../gguf/decoder-gguf.ts';
import { LENGTH_SCALING, ropeFields } from '../rope.ts';

/** Names of one scaling, in files of other ages. */
const lengthScaling = ['su', 'yarn', LENGTH_SCALING];

/**
 * Phi-3, Phi-3.5 and Phi-4-mini: one module for queries, keys and values, and one for gate and up; a part of each head is rotated.
 * Source: transformers, models/phi3/configuration_phi3.py and modeling_phi3.py.
 */
export const phi3: DecoderRow = {
  className: 'Phi3',
  defaultTargets: {},
  adaptersInterface: null,
  defaults: {
    max_position_embeddings: 4096,
    original_max_position_embeddings: 4096,
    pad_token_id: 32_000,
    rms_norm_eps: 1e-5,
  },
  gguf: {
    ...decoderGguf,
    architecture: 'phi3',
    preTokenizers: { 'gpt-4o': { pattern: casePattern("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", '\\p{N}{1,3}') } },
    namedWith: { name: 'Phi-3', pattern: /phi-?3/i, tokens: ['</s>', '<unk>', '<s>', '<|endoftext|>'] },
    blockParts: {
      attn_norm: 'input_layernorm',
      attn_qkv: 'self_attn.qkv_proj',
      attn_output: 'self_attn.o_proj',
      ffn_norm: 'post_attention_layernorm',
      ffn_up: 'mlp.gate_up_proj',
      ffn_down: 'mlp.down_proj',
    },
    config(header) {
      const hiddenSize = header.size('embedding_length');
      const heads = header.size('attention.head_count');
      const headSize = Math.floor(hiddenSize / heads);
      const rotated = header.count('rope.dimension_count') ?? headSize;
      const window = header.count('attention.sliding_window') ?? 0;
      const { rope_scaling, rope_theta, ...config } = decoderGguf.config(header);
      return {
        ...config,
        head_dim: headSize,
        original_max_position_embeddings:
          header.count('rope.scaling.original_context_length') ?? header.size('context_length'),
        partial_rotary_factor: rotated / headSize,
        rope_scaling,
        rope_theta,
        sliding_window: window === 0 ? null : window,
      };
    },
    // llama.cpp ignores the window; other readers do not.
    fields: (outline) => ({
      ...decoderGguf.fields(outline),
      'attention.sliding_window': u32(outline.window(0) ?? 0),
    }),
    missing: (outline) => missingOf(outline, { heads: 'fill the width' }),
    notes(outline) {
      const { longOver } = outline;
      if (longOver === undefined) return decoderGguf.notes(outline);
      return [
        ...decoderGguf.notes(outline),
        `llama.cpp chooses between the two lists of rope factors by its context size, not by a text's length: set it to at most ${longOver} for texts that are not longer.`,
      ];
    },
  },
  bias: () => ({ qkv: false, output: false, mlp: false }),
  layers: (_, fields) => ({
    fused: true,
    dense: { module: 'mlp', gateAndUp: ['gate_up_proj'], down: 'down_proj' },
    residualDropout: fields.probability('resid_pdrop', 0),
  }),
  windows: oneWindow,
  ropes(config) {
    const { rope_type, type, ...fields } = ropeFields(config);
    const kind = rope_type ?? type;
    const own = {
      partial_rotary_factor: config.partial_rotary_factor,
      ...fields,
      rope_type: lengthScaling.includes(String(kind)) ? LENGTH_SCALING : kind,
    };
    return { each: [own], of: () => 0 };
  },
};
