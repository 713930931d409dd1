import { type Static, Type } from 'typebox';
import { configFault, type Fault, show } from '../../schema/check-fields.ts';
import { usableFaults } from '../../schema/module-options.ts';
import { dropoutProbability, LayerIndex, modulesToSave, taskType } from '../../schema/schema-parts.ts';

/** The adapter's name in its keys. An adapter that is read with another name is renamed. */
export const ADAPTER_NAME = 'graft';

/** At 2 the bottleneck is half as wide as the layer, at 8 an eighth; below 1 it is wider than the layer. */
const ReductionFactor = Type.Number({ minimum: 1 / 16, maximum: 1_000_000 });

/** The `adapters` library's names: transformers' activations, and the library's own `leakyrelu`. */
export const NON_LINEARITIES = [
  'relu',
  'gelu',
  'gelu_new',
  'gelu_pytorch_tanh',
  'quick_gelu',
  'silu',
  'swish',
  'tanh',
  'sigmoid',
  'leaky_relu',
  'leakyrelu',
  'linear',
] as const;

const flag = (fallback: boolean, description: string) => Type.Boolean({ default: fallback, description });

/**
 * Bottleneck adapters, with the names and defaults of the `adapters` library's BnConfig (1.3). After parsing every field but `preset`
 * is present; `preset` sets the fields that a request omits.
 */
export const BottleneckConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('BOTTLENECK', { description: 'The PEFT method.' }),
    task_type: taskType,
    preset: Type.Optional(
      Type.Union(
        [Type.Literal('seq_bn'), Type.Literal('double_seq_bn'), Type.Literal('par_bn'), Type.Null()],
        {
          description:
            'Values for the fields that are left out. seq_bn (Pfeiffer; taken when there is none): after the feed-forward network. double_seq_bn (Houlsby): after attention too. par_bn: beside the feed-forward network. null: no preset; mh_adapter, output_adapter, reduction_factor and non_linearity are required.',
        },
      ),
    ),
    mh_adapter: flag(false, 'An adapter after the self-attention of each layer.'),
    output_adapter: flag(true, 'An adapter after the feed-forward network of each layer.'),
    cross_adapter: flag(false, 'An adapter after the cross-attention of each decoder layer.'),
    reduction_factor: Type.Union(
      [ReductionFactor, Type.Record(Type.String(), ReductionFactor, { maxProperties: 10_001 })],
      {
        default: 16,
        description:
          'The layer\'s width divided by the bottleneck\'s. An object gives it by layer ("0", "1", …; "default" for the others).',
      },
    ),
    non_linearity: Type.Enum([...NON_LINEARITIES], {
      type: 'string',
      default: 'relu',
      description: "The bottleneck's activation.",
    }),
    original_ln_before: flag(
      false,
      "Add the layer's residual (and apply its norm, in a post-norm model) before the adapter. Not for is_parallel.",
    ),
    original_ln_after: flag(
      true,
      "Add the layer's residual (and apply its norm, in a post-norm model) after the adapter.",
    ),
    ln_before: flag(false, 'A new norm before the bottleneck.'),
    ln_after: flag(false, 'A new norm after the bottleneck.'),
    residual_before_ln: Type.Union([Type.Boolean(), Type.Literal('post_add')], {
      default: true,
      description:
        'Where the residual around the bottleneck starts: true, at the sublayer\'s output; false, behind the residual and norm of original_ln_before; "post_add", between these two (post-norm models).',
    }),
    adapter_residual_before_ln: flag(
      false,
      'Add the residual around the bottleneck before the norm of ln_after instead of behind it.',
    ),
    is_parallel: flag(false, "Feed the adapter with the sublayer's input instead of its output."),
    scaling: Type.Union([Type.Number(), Type.Literal('learned'), Type.Literal('channel')], {
      default: 1,
      description:
        'Factor of the adapter\'s output: a number, "learned", or "channel" (one learned for each channel).',
    }),
    dropout: dropoutProbability(
      "Probability that an element of the adapter's output is dropped during training.",
    ),
    leave_out: Type.Array(LayerIndex, {
      default: [],
      maxItems: 1024,
      description: "Layers (0-based; a decoder's after its encoder's) that get no adapter.",
    }),
    init_weights: Type.Enum(['bert', 'mam_adapter', 'houlsby'], {
      type: 'string',
      default: 'bert',
      description:
        'Start values. bert: normal with deviation 0.02. mam_adapter: Kaiming-uniform down, zeros up. houlsby: normal with deviation 0.01, cut at two deviations.',
    }),
    modules_to_save: modulesToSave,
  },
  {
    $id: 'BottleneckConfig',
    description:
      "Bottleneck adapters. Other options of the `adapters` library's BnConfig are accepted at their default only.",
  },
);

/** The config with every field set. The preset is replaced by the fields that it sets. */
export type BottleneckConfig = Static<typeof BottleneckConfigSchema>;

/** The presets' differences from BnConfig's defaults. Source: adapters, configuration/adapter_config.py. */
const presets: Record<'seq_bn' | 'double_seq_bn' | 'par_bn', Partial<BottleneckConfig>> = {
  seq_bn: {
    original_ln_before: true,
    mh_adapter: false,
    output_adapter: true,
    non_linearity: 'relu',
    reduction_factor: 16,
  },
  double_seq_bn: { mh_adapter: true, output_adapter: true, non_linearity: 'swish', reduction_factor: 16 },
  par_bn: {
    mh_adapter: false,
    output_adapter: true,
    non_linearity: 'relu',
    reduction_factor: 2,
    init_weights: 'mam_adapter',
    is_parallel: true,
    scaling: 4,
  },
};

/** Options of BnConfig that Graft does not implement, with the defaults at which Graft accepts them. */
export const UNIMPLEMENTED_OPTIONS: Record<string, unknown> = {
  init_weights_seed: null,
  use_gating: false,
  inv_adapter: null,
  inv_adapter_reduction_factor: null,
  phm_layer: false,
  phm_dim: 4,
  factorized_phm_W: true,
  shared_W_phm: false,
  shared_phm_rule: true,
  factorized_phm_rule: false,
  phm_c_init: 'normal',
  phm_init_range: 0.0001,
  learn_phm: true,
  hypercomplex_nonlinearity: 'glorot-uniform',
  phm_rank: 1,
  phm_bias: true,
  stochastic_depth: 0,
};

/** Fields that Python writes as floats. */
export const FLOATS = ['scaling', 'dropout', 'stochastic_depth'];

export function withPreset({
  preset = 'seq_bn',
  ...given
}: Record<string, unknown>): Record<string, unknown> {
  return preset === null ? given : { ...presets[preset as keyof typeof presets], ...given };
}

export function bottleneckFaults(given: Record<string, unknown>): Fault[] {
  const faults: Fault[] = [];
  const add = (field: string, message: string) => faults.push(configFault(field, message));
  if (given.preset === null) {
    for (const field of ['mh_adapter', 'output_adapter', 'reduction_factor', 'non_linearity'])
      if (given[field] === undefined) add(field, 'is required without a preset');
    if (faults.length > 0) return faults;
  }
  const config = withPreset(given) as Partial<BottleneckConfig>;
  if (!config.mh_adapter && !config.output_adapter && !config.cross_adapter)
    add(
      'output_adapter',
      'mh_adapter, output_adapter and cross_adapter are all false: nothing would be trained',
    );
  if (config.is_parallel && config.original_ln_before)
    add(
      'original_ln_before',
      "must be false with is_parallel, whose adapter reads the sublayer's input; preset par_bn sets it so",
    );
  if (config.is_parallel && config.adapter_residual_before_ln)
    add(
      'adapter_residual_before_ln',
      'must be false with is_parallel, which has no residual around the bottleneck',
    );
  if (config.adapter_residual_before_ln && !config.ln_after)
    add('adapter_residual_before_ln', 'needs ln_after');
  if (config.residual_before_ln === 'post_add' && !config.original_ln_before)
    add('residual_before_ln', '"post_add" needs original_ln_before');
  if (typeof config.reduction_factor === 'object') {
    for (const layer of Object.keys(config.reduction_factor))
      if (!/^(default|\d+)$/.test(layer))
        add('reduction_factor', `${show(layer)} is neither a layer nor "default"`);
  }
  faults.push(...usableFaults('modules_to_save', config.modules_to_save ?? []));
  return faults;
}
