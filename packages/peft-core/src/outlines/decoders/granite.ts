import type { DecoderRow } from '../decoder.ts';

/**
 * Granite 3: as llama, with constant factors of embeddings, scores, sublayers and logits. Source: transformers,
 * models/granite/configuration_granite.py and modeling_granite.py.
 */
export const granite: DecoderRow = {
  className: 'Granite',
  tasks: ['CAUSAL_LM', 'FEATURE_EXTRACTION'],
  mlxAdapters: true,
  defaultTargets: {},
  adaptersInterface: null,
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: config.flag('mlp_bias') };
  },
  factors: (_config, fields) => ({
    stream: fields.number('embedding_multiplier', 1),
    scores: fields.number('attention_multiplier', 1),
    sublayer: fields.number('residual_multiplier', 1),
    logits: 1 / fields.positive('logits_scaling', 1),
  }),
};
