import type { DecoderRow } from '../decoder.ts';
import { allButEvery, ropesByType, slidingByType, windowsByType } from '../decoder-layers.ts';
import { olmo2 } from './olmo2.ts';

/**
 * OLMo 3: as OLMo 2, with a window in three layers of four. Source: transformers, models/olmo3/configuration_olmo3.py and
 * modeling_olmo3.py.
 */
export const olmo3: DecoderRow = {
  ...olmo2,
  className: 'Olmo3',
  defaults: { pad_token_id: 1, rms_norm_eps: 1e-5, sliding_window: 4096 },
  windows: (config, fields) => windowsByType(config, fields, slidingByType(config, fields, allButEvery(4))),
  ropes(config, fields) {
    const full = fields.number('rope_theta', 500_000);
    return ropesByType(config, { sliding: 500_000, full }, slidingByType(config, fields, allButEvery(4)));
  },
};
