import type { MultimodalRow } from '../decoder.ts';
import { ministral3 } from './ministral3.ts';
import { mistral } from './mistral.ts';

/**
 * Mistral Small 3.1 and Ministral 3 with images: their text part. Source: transformers, models/mistral3/configuration_mistral3.py and
 * modeling_mistral3.py.
 */
export const mistral3: MultimodalRow = {
  className: 'Mistral3',
  classes: { CAUSAL_LM: 'Mistral3ForConditionalGeneration' },
  tasks: ['CAUSAL_LM', 'FEATURE_EXTRACTION'],
  texts: { mistral, ministral3 },
};
