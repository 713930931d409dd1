import type { DecoderRow } from '../decoder.ts';
import { deltaRecurrence } from '../recurrent-layers/delta-net.ts';
import { ropeFields } from '../rope.ts';

/**
 * The dense text models of Qwen 3.5: three gated DeltaNet layers to one with attention, which has a gated output, norms of each head's
 * queries and keys, and rotates a quarter of each head; weights of norms are differences from 1, except in DeltaNet layers. Source:
 * transformers, models/qwen3_5/configuration_qwen3_5.py and modeling_qwen3_5.py.
 */
export const qwen35Text: DecoderRow = {
  className: 'Qwen3_5',
  classes: { SEQ_CLS: 'Qwen3_5TextForSequenceClassification', FEATURE_EXTRACTION: 'Qwen3_5TextModel' },
  tasks: ['CAUSAL_LM', 'SEQ_CLS', 'FEATURE_EXTRACTION'],
  defaultTargets: {},
  adaptersInterface: null,
  defaults: {
    vocab_size: 248_320,
    hidden_size: 4096,
    intermediate_size: 12_288,
    num_hidden_layers: 32,
    num_attention_heads: 16,
    num_key_value_heads: 4,
    head_dim: 256,
    max_position_embeddings: 32_768,
    linear_conv_kernel_dim: 4,
    linear_key_head_dim: 128,
    linear_value_head_dim: 128,
    linear_num_key_heads: 16,
    linear_num_value_heads: 32,
  },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: false };
  },
  shiftedNorms: true,
  queryKeyNorms: 'head',
  layers: () => ({ outputGate: true }),
  recurrence: deltaRecurrence,
  ropes(config) {
    const partial_rotary_factor = config.partial_rotary_factor ?? 0.25;
    return { each: [{ partial_rotary_factor, ...ropeFields(config) }], of: () => 0 };
  },
};
