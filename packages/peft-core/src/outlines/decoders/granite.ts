import type { DecoderRow } from '../decoder.ts';
import { decoderGguf, f32, missingOf } from '../gguf/decoder-gguf.ts';

/**
 * Granite 3: as llama, with constant factors of embeddings, scores, sublayers and logits. Source: transformers,
 * models/granite/configuration_granite.py and modeling_granite.py.
 */
export const granite: DecoderRow = {
  className: 'Granite',
  tasks: ['CAUSAL_LM', 'FEATURE_EXTRACTION'],
  defaultTargets: {},
  adaptersInterface: null,
  gguf: {
    ...decoderGguf,
    architecture: 'granite',
    interleaved: true,
    config: (header) => ({
      ...decoderGguf.config(header),
      attention_multiplier: header.optionalDecimal('attention.scale') ?? 1,
      embedding_multiplier: header.optionalDecimal('embedding_scale') ?? 1,
      logits_scaling: header.decimal('logit_scale'),
      residual_multiplier: header.optionalDecimal('residual_scale') ?? 1,
    }),
    fields: (outline) => ({
      ...decoderGguf.fields(outline),
      'attention.scale': f32(outline.factors.scores),
      embedding_scale: f32(outline.factors.stream),
      logit_scale: f32(1 / outline.factors.logits),
      residual_scale: f32(outline.factors.sublayer),
    }),
    missing: (outline) =>
      missingOf(outline, {
        biases: Object.values(decoderGguf.blockParts),
        scores: 'any',
        rotation: 'whole heads',
      }),
  },
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
