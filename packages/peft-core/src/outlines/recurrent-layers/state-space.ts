import type { ConfigFields } from '../config-fields.ts';
import { mixedWidth, type OutlineBuilder, type Recurrence } from '../outline.ts';
import { recurrentLayers } from './recurrent-types.ts';

/** The Mamba-2 layers of a config.json: the recurrent entries of `layer_types`, or all layers. Reports invalid fields. */
export function stateSpaceRecurrence(config: Record<string, unknown>, fields: ConfigFields): Recurrence {
  const heads = fields.size('mamba_n_heads');
  const groups = fields.size('mamba_n_groups');
  const width = fields.size('mamba_expand') * fields.size('hidden_size');
  if (width % heads !== 0) fields.fault('mamba_n_heads must divide mamba_expand * hidden_size');
  if (heads % groups !== 0) fields.fault('mamba_n_groups must divide mamba_n_heads');
  const valueSize =
    config.mamba_d_head === 'auto' ? width / heads : fields.size('mamba_d_head', width / heads);
  if (valueSize * heads !== width)
    fields.fault('mamba_d_head * mamba_n_heads must be mamba_expand * hidden_size');
  return {
    rule: 'state_space',
    module: 'mamba',
    has: recurrentLayers(config, fields, () => true),
    keyHeads: groups,
    valueHeads: heads,
    keySize: fields.size('mamba_d_state', undefined, 16_384),
    valueSize,
    reach: fields.size('mamba_d_conv', undefined, 64),
    projections: 'one',
    bias: { convolution: fields.flag('mamba_conv_bias', true), projections: fields.flag('mamba_proj_bias') },
  };
}

/** Adds the parameters and modules of a layer, in the order of transformers. */
export function addStateSpace(
  all: OutlineBuilder,
  path: string,
  recurrence: Recurrence,
  width: number,
): void {
  const { valueHeads, valueSize, reach, bias } = recurrence;
  const mixed = mixedWidth(recurrence);
  const values = valueHeads * valueSize;
  all
    .parameter(`${path}.dt_bias`, [valueHeads])
    .parameter(`${path}.A_log`, [valueHeads])
    .parameter(`${path}.D`, [valueHeads])
    .convolution(`${path}.conv1d`, mixed, reach, { bias: bias.convolution })
    .linear(`${path}.in_proj`, values + mixed + valueHeads, width, { bias: bias.projections })
    .norm(`${path}.norm`, values)
    .linear(`${path}.out_proj`, width, values, { bias: bias.projections });
}
