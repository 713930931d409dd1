import type { ConfigFields } from '../config-fields.ts';
import { mixedWidth, type OutlineBuilder, type Recurrence } from '../outline.ts';
import { recurrentLayers } from './recurrent-types.ts';

/**
 * The gated DeltaNet layers of a config.json: the entries "linear_attention" of `layer_types`, or without that list all layers but every
 * `full_attention_interval`-th, 4 by default. Reports invalid fields.
 */
export function deltaRecurrence(
  config: Record<string, unknown>,
  fields: ConfigFields,
  projections: Recurrence['projections'] = 'separate',
): Recurrence {
  const keyHeads = fields.size('linear_num_key_heads');
  const valueHeads = fields.size('linear_num_value_heads');
  if (valueHeads % keyHeads !== 0) fields.fault('linear_num_key_heads must divide linear_num_value_heads');
  const interval = fields.size('full_attention_interval', 4);
  return {
    rule: 'delta',
    module: 'linear_attn',
    has: recurrentLayers(config, fields, (layer) => (layer + 1) % interval !== 0),
    keyHeads,
    valueHeads,
    keySize: fields.size('linear_key_head_dim', undefined, 16_384),
    valueSize: fields.size('linear_value_head_dim', undefined, 16_384),
    reach: fields.size('linear_conv_kernel_dim', undefined, 64),
    projections,
    bias: { convolution: false, projections: false },
  };
}

/** Adds the parameters and modules of a layer, in the order of transformers. */
export function addDeltaNet(all: OutlineBuilder, path: string, recurrence: Recurrence, width: number): void {
  const { valueHeads, valueSize, reach } = recurrence;
  const mixed = mixedWidth(recurrence);
  const values = valueHeads * valueSize;
  all
    .parameter(`${path}.dt_bias`, [valueHeads])
    .parameter(`${path}.A_log`, [valueHeads])
    .convolution(`${path}.conv1d`, mixed, reach);
  if (recurrence.projections === 'fused') {
    all
      .linear(`${path}.in_proj_qkvz`, mixed + values, width)
      .linear(`${path}.in_proj_ba`, 2 * valueHeads, width)
      .stack(`${path}.in_proj_qkvz`, `${path}.in_proj_ba`)
      .norm(`${path}.norm`, valueSize)
      .linear(`${path}.out_proj`, width, values);
    return;
  }
  all
    .norm(`${path}.norm`, valueSize)
    .linear(`${path}.out_proj`, width, values)
    .linear(`${path}.in_proj_qkv`, mixed, width)
    .linear(`${path}.in_proj_z`, values, width)
    .linear(`${path}.in_proj_b`, valueHeads, width)
    .linear(`${path}.in_proj_a`, valueHeads, width)
    .stack(...['in_proj_qkv', 'in_proj_z', 'in_proj_b', 'in_proj_a'].map((name) => `${path}.${name}`));
}
