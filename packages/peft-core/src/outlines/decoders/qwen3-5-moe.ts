import type { MultimodalRow } from '../decoder.ts';
import { expertTensors } from '../experts.ts';
import { qwen35MoeText } from './qwen3-5-moe-text.ts';

/** Qwen 3.5 with experts and images: its text part. Source: transformers, models/qwen3_5_moe/modeling_qwen3_5_moe.py. */
export const qwen35Moe: MultimodalRow = {
  className: 'Qwen3_5Moe',
  classes: { CAUSAL_LM: 'Qwen3_5MoeForConditionalGeneration' },
  tasks: ['CAUSAL_LM', 'FEATURE_EXTRACTION'],
  expertTensors,
  texts: { qwen3_5_moe_text: qwen35MoeText },
  tiesByDefault: false,
};
