import type { MultimodalRow } from '../../decoder.ts';
import { gemma4UnifiedText } from './gemma4-unified-text.ts';

/** Gemma 4 12B: its text part. Source: transformers, models/gemma4_unified/modeling_gemma4_unified.py. */
export const gemma4Unified: MultimodalRow = {
  className: 'Gemma4Unified',
  classes: { CAUSAL_LM: 'Gemma4UnifiedForConditionalGeneration' },
  tasks: ['CAUSAL_LM', 'FEATURE_EXTRACTION'],
  texts: { gemma4_unified_text: gemma4UnifiedText },
};
