import type { MultimodalRow } from '../decoder.ts';
import { gemma3Text } from './gemma3-text.ts';

/** Gemma 3 with images: its text part. Source: transformers, models/gemma3/configuration_gemma3.py and modeling_gemma3.py. */
export const gemma3: MultimodalRow = {
  className: 'Gemma3',
  classes: { CAUSAL_LM: 'Gemma3ForConditionalGeneration' },
  tasks: ['CAUSAL_LM', 'SEQ_CLS', 'FEATURE_EXTRACTION'],
  texts: { gemma3_text: gemma3Text },
};
