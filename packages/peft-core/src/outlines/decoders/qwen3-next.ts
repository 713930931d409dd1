import type { DecoderRow } from '../decoder.ts';
import { expertTensors, formerModules, sparseNetworkWithShared } from '../experts.ts';
import { deltaRecurrence } from '../recurrent-layers/delta-net.ts';
import { qwen35Text } from './qwen3-5-text.ts';

/**
 * Qwen3-Next: the layers of Qwen 3.5, with projections of DeltaNet layers that are fused by key head, and experts, one of which computes
 * every token. Source: transformers, models/qwen3_next/configuration_qwen3_next.py and modeling_qwen3_next.py.
 */
export const qwen3Next: DecoderRow = {
  ...qwen35Text,
  className: 'Qwen3Next',
  classes: {},
  tasks: ['CAUSAL_LM', 'SEQ_CLS', 'TOKEN_CLS', 'FEATURE_EXTRACTION'],
  expertTensors,
  formerModules,
  defaults: {
    ...qwen35Text.defaults,
    vocab_size: 151_936,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 48,
    num_key_value_heads: 2,
    num_experts: 512,
    num_experts_per_tok: 10,
    moe_intermediate_size: 512,
    shared_expert_intermediate_size: 512,
    norm_topk_prob: true,
  },
  recurrence: (config, fields) => deltaRecurrence(config, fields, 'fused'),
  sparse: sparseNetworkWithShared,
};
