import type { DecoderRow } from '../decoder.ts';
import { expertTensors, sparseNetworkWithShared } from '../experts.ts';
import { qwen35Text } from './qwen3-5-text.ts';

/**
 * The text models of Qwen 3.5 with experts in every layer, one of which computes every token. HF PEFT translates no names of modules of
 * this architecture into parameters. Source: transformers, models/qwen3_5_moe/configuration_qwen3_5_moe.py and modeling_qwen3_5_moe.py.
 */
export const qwen35MoeText: DecoderRow = {
  ...qwen35Text,
  className: 'Qwen3_5Moe',
  classes: { FEATURE_EXTRACTION: 'Qwen3_5MoeTextModel' },
  tasks: ['CAUSAL_LM', 'FEATURE_EXTRACTION'],
  expertTensors,
  defaults: {
    ...qwen35Text.defaults,
    hidden_size: 2048,
    num_hidden_layers: 40,
    num_key_value_heads: 2,
    num_experts: 256,
    num_experts_per_tok: 8,
    moe_intermediate_size: 512,
    shared_expert_intermediate_size: 512,
  },
  sparse: (config, fields) => ({
    ...sparseNetworkWithShared({ ...config, mlp_only_layers: [] }, fields),
    normalised: true,
    isSparse: () => true,
  }),
};
