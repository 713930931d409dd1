import type { DecoderRow } from '../decoder.ts';
import { allButEvery, ropesByType, slidingByType, windowsByType } from '../decoder-layers.ts';
import { decoderGguf, f32, missingOf, missingWindows, windowMetadata } from '../gguf/decoder-gguf.ts';
import { olmo2 } from './olmo2.ts';

/**
 * OLMo 3: as OLMo 2, with a window in three layers of four. Source: transformers, models/olmo3/configuration_olmo3.py and
 * modeling_olmo3.py.
 */
export const olmo3: DecoderRow = {
  ...olmo2,
  className: 'Olmo3',
  defaults: { pad_token_id: 1, rms_norm_eps: 1e-5, sliding_window: 4096 },
  gguf: {
    ...olmo2.gguf!,
    isOwn: (header) => (header.count('attention.sliding_window') ?? 0) > 0,
    config(header) {
      const { rope_scaling, rope_theta, ...config } = decoderGguf.config(header);
      const period = header.count('attention.sliding_window_pattern') ?? 4;
      const types = Array.from({ length: config.num_hidden_layers }, (_, layer) =>
        allButEvery(period)(layer) ? 'sliding_attention' : 'full_attention',
      );
      return {
        ...config,
        layer_types: types,
        rope_parameters: {
          sliding_attention: { rope_theta: header.optionalDecimal('rope.freq_base_swa') ?? rope_theta },
          full_attention: { rope_theta, ...(rope_scaling as object | null) },
        },
        sliding_window: header.size('attention.sliding_window'),
      };
    },
    fields: (outline) => ({
      ...decoderGguf.fields(outline),
      ...windowMetadata(outline),
      'rope.freq_base_swa': f32(Number(outline.ropeFields[0]!.rope_theta)),
    }),
    missing: (outline) => missingWindows(outline) ?? missingOf(outline, { heads: 'fill the width' }),
    notes: () => [],
  },
  windows: (config, fields) => windowsByType(config, fields, slidingByType(config, fields, allButEvery(4))),
  ropes(config, fields) {
    const full = fields.number('rope_theta', 500_000);
    return ropesByType(config, { sliding: 500_000, full }, slidingByType(config, fields, allButEvery(4)));
  },
};
