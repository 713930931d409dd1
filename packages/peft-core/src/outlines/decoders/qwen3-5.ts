import type { MultimodalRow } from '../decoder.ts';
import { qwen35Text } from './qwen3-5-text.ts';

/** Qwen 3.5 with images: its text part. Source: transformers, models/qwen3_5/configuration_qwen3_5.py and modeling_qwen3_5.py. */
export const qwen35: MultimodalRow = {
  className: 'Qwen3_5',
  classes: { CAUSAL_LM: 'Qwen3_5ForConditionalGeneration' },
  tasks: ['CAUSAL_LM', 'SEQ_CLS', 'FEATURE_EXTRACTION'],
  texts: { qwen3_5_text: qwen35Text },
};
