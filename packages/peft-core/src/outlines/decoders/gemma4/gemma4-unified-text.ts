import type { DecoderRow } from '../../decoder.ts';
import { gemma4Text, layersWithoutInputs } from './gemma4-text.ts';

/**
 * The text part of Gemma 4 12B: as `gemma4_text`, without inputs of each layer. Source: transformers,
 * models/gemma4_unified/configuration_gemma4_unified.py and modeling_gemma4_unified.py.
 */
export const gemma4UnifiedText: DecoderRow = {
  ...gemma4Text,
  className: 'Gemma4Unified',
  classes: { FEATURE_EXTRACTION: 'Gemma4UnifiedTextModel' },
  defaults: { ...gemma4Text.defaults, max_position_embeddings: 262_144, sliding_window: 1024 },
  layers: layersWithoutInputs,
};
