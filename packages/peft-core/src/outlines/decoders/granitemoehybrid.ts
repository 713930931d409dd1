import type { ConfigFields } from '../config-fields.ts';
import type { DecoderRow, RawConfig } from '../decoder.ts';
import { sparseNetwork } from '../experts.ts';
import { stateSpaceRecurrence } from '../recurrent-layers/state-space.ts';
import { ropeFields } from '../rope.ts';
import { granite } from './granite.ts';

/**
 * Granite 4: the factors of Granite 3; Mamba-2 layers among those with attention, which may be without a rotation; and a network that
 * computes every token, with or without experts beside it. Source: transformers,
 * models/granitemoehybrid/configuration_granitemoehybrid.py and modeling_granitemoehybrid.py.
 */
export const graniteMoeHybrid: DecoderRow = {
  className: 'GraniteMoeHybrid',
  tasks: ['CAUSAL_LM', 'FEATURE_EXTRACTION'],
  // PEFT 0.21.2 has none for this architecture.
  defaultTargets: {},
  adaptersInterface: null,
  formerTensors: {
    'block_sparse_moe.experts.gate_up_proj': 'block_sparse_moe.input_linear.weight',
    'block_sparse_moe.experts.down_proj': 'block_sparse_moe.output_linear.weight',
    'block_sparse_moe.router.weight': 'block_sparse_moe.router.layer.weight',
  },
  defaults: {
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 11_008,
    shared_intermediate_size: 1024,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_local_experts: 8,
    num_experts_per_tok: 2,
    mamba_n_heads: 128,
    mamba_n_groups: 1,
    mamba_d_state: 256,
    mamba_d_head: 'auto',
    mamba_d_conv: 4,
    mamba_expand: 2,
  },
  check(config, fields) {
    if (!isUnlimited(config.time_step_limit))
      fields.fault('time_step_limit must be [0, Infinity] or absent: Graft does not limit time steps');
  },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: false };
  },
  layers(_, fields) {
    const width = fields.size('shared_intermediate_size');
    return {
      dense: { module: 'shared_mlp', gateAndUp: ['input_linear'], down: 'output_linear' },
      attentionLast: true,
      innerOf: () => width,
    };
  },
  recurrence(config, fields) {
    const recurrence = stateSpaceRecurrence(config, fields);
    const layers = fields.layers('num_hidden_layers');
    if (!Array.from({ length: layers }, (_, layer) => layer).some(recurrence.has)) return null;
    fields.choice('hidden_act', ['silu'], 'silu');
    return recurrence;
  },
  ropes: (config) =>
    config.position_embedding_type === 'rope'
      ? { each: [ropeFields(config)], of: () => 0 }
      : { each: [], of: () => null },
  factors: granite.factors!,
  sparse: (config, fields) => (fields.count('num_local_experts', 8) === 0 ? null : experts(config, fields)),
};

const experts = (config: RawConfig, fields: ConfigFields) => ({
  ...sparseNetwork(config, fields),
  // The softmax is over the logits of the chosen experts.
  normalised: true,
  width: fields.size('intermediate_size'),
  module: 'block_sparse_moe' as const,
  router: 'router' as const,
  addsDense: true,
});

/** Returns true if `[least, most]` limits no time step. JSON has no infinity; transformers writes it as an object. */
function isUnlimited(limit: unknown): boolean {
  if (limit == null) return true;
  if (!Array.isArray(limit) || limit[0] !== 0) return false;
  const most = limit[1]?.__float__ ?? limit[1];
  return most === 'Infinity' || most === Number.POSITIVE_INFINITY;
}
