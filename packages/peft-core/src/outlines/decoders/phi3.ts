import type { DecoderRow } from '../decoder.ts';
import { oneWindow } from '../decoder-layers.ts';
import { LENGTH_SCALING, ropeFields } from '../rope.ts';

/** Names of one scaling, in files of other ages. */
const lengthScaling = ['su', 'yarn', LENGTH_SCALING];

/**
 * Phi-3, Phi-3.5 and Phi-4-mini: one module for queries, keys and values, and one for gate and up; a part of each head is rotated.
 * Source: transformers, models/phi3/configuration_phi3.py and modeling_phi3.py.
 */
export const phi3: DecoderRow = {
  className: 'Phi3',
  mlxAdapters: true,
  defaultTargets: {},
  adaptersInterface: null,
  defaults: {
    max_position_embeddings: 4096,
    original_max_position_embeddings: 4096,
    pad_token_id: 32_000,
    rms_norm_eps: 1e-5,
  },
  bias: () => ({ qkv: false, output: false, mlp: false }),
  fused: true,
  residualDropoutField: 'resid_pdrop',
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
