import type { MethodRow } from './methods.ts';

const common = { merges: false, start: 'adapter', learningRate: 3e-3 } as const;
/** These norm the sum of sublayer and stream; the others norm before their sublayers. */
const postNorm = ['bert', 'roberta'];

/** Configurations of BOTTLENECK: presets on every architecture, other options as variants. Fields are BnConfig's, and `preset`. */
export const adaptersMethods: MethodRow[] = [
  { ...common, name: 'seq_bn', config: () => ({ peft_type: 'BOTTLENECK', preset: 'seq_bn' }) },
  {
    ...common,
    name: 'double_seq_bn',
    config: () => ({ peft_type: 'BOTTLENECK', preset: 'double_seq_bn', reduction_factor: 6 }),
  },
  {
    ...common,
    name: 'par_bn',
    config: () => ({ peft_type: 'BOTTLENECK', preset: 'par_bn', reduction_factor: 8 }),
  },
  {
    ...common,
    name: 'bn, norms',
    variant: true,
    config: ({ config: { model_type } }) => ({
      peft_type: 'BOTTLENECK',
      preset: null,
      mh_adapter: true,
      output_adapter: true,
      cross_adapter: model_type === 't5',
      reduction_factor: { '1': 4, default: 10 },
      non_linearity: 'tanh',
      original_ln_before: true,
      residual_before_ln: postNorm.includes(model_type as string) ? 'post_add' : false,
      ln_before: true,
      ln_after: true,
      adapter_residual_before_ln: true,
      scaling: 'channel',
      init_weights: 'houlsby',
    }),
  },
  {
    ...common,
    name: 'bn, one layer',
    variant: true,
    config: () => ({
      peft_type: 'BOTTLENECK',
      preset: null,
      mh_adapter: true,
      output_adapter: false,
      reduction_factor: 0.5,
      non_linearity: 'gelu',
      ln_after: true,
      scaling: 'learned',
      leave_out: [0],
    }),
  },
  {
    ...common,
    name: 'bn, own residual',
    variant: true,
    config: () => ({
      peft_type: 'BOTTLENECK',
      preset: null,
      mh_adapter: true,
      output_adapter: true,
      reduction_factor: 8,
      non_linearity: 'leakyrelu',
      original_ln_before: true,
      original_ln_after: false,
      residual_before_ln: false,
      scaling: 0.7,
    }),
  },
  {
    ...common,
    name: 'parallel, norms',
    variant: true,
    config: () => ({
      peft_type: 'BOTTLENECK',
      preset: 'par_bn',
      mh_adapter: true,
      reduction_factor: 8,
      non_linearity: 'sigmoid',
      ln_before: true,
      ln_after: true,
      scaling: 'learned',
    }),
  },
];
