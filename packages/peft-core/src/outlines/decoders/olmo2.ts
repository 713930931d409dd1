import type { DecoderRow } from '../decoder.ts';

/**
 * OLMo 2: norms of each sublayer's output instead of its input, and of all queries and all keys. Source: transformers,
 * models/olmo2/configuration_olmo2.py and modeling_olmo2.py.
 */
export const olmo2: DecoderRow = {
  className: 'Olmo2',
  tasks: ['CAUSAL_LM', 'SEQ_CLS', 'FEATURE_EXTRACTION'],
  mlxAdapters: true,
  defaultTargets: {},
  adaptersInterface: null,
  defaults: { pad_token_id: 1, rms_norm_eps: 1e-5 },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: false };
  },
  norms: 'after',
  queryKeyNorms: 'projection',
};
