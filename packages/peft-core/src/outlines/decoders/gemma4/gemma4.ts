import type { MultimodalRow } from '../../decoder.ts';
import { matrixTargets } from '../../default-targets.ts';
import { gemma4Text } from './gemma4-text.ts';

/** Gemma 4 with images and sound: its text part. Source: transformers, models/gemma4/configuration_gemma4.py and modeling_gemma4.py. */
export const gemma4: MultimodalRow = {
  className: 'Gemma4',
  classes: { CAUSAL_LM: 'Gemma4ForConditionalGeneration' },
  tasks: ['CAUSAL_LM', 'FEATURE_EXTRACTION'],
  defaultTargets: matrixTargets(['q_proj', 'v_proj']),
  texts: { gemma4_text: gemma4Text },
};
