import { matrixMethods } from './matrix-methods.ts';
import type { MethodRow } from './method-row.ts';

export type { MethodRow };

const lora = { peft_type: 'LORA', r: 4, lora_alpha: 8 };
/** Ids that the training data and the probes have. */
const tokens = [79, 90, 17, 224];
/** In the middle of every prompt of the training data, and in one of the probes. */
const invocation = [276];
const common = { merges: true, start: 'adapter', learningRate: 3e-3 } as const;
/** Soft prompts. */
const soft = { merges: false, start: 'adapter', learningRate: 1e-1 } as const;

export const methods: MethodRow[] = [
  {
    ...common,
    name: 'lora',
    config: ({ names }) => ({ peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: names.attention }),
  },
  {
    ...common,
    name: 'lora everywhere, patterns, all biases',
    variant: true,
    config: ({ names }) => ({
      ...lora,
      target_modules: 'all-linear',
      use_rslora: true,
      rank_pattern: { [names.attention[0]!]: 3 },
      alpha_pattern: { [names.feedForward[0]!]: 12 },
      bias: 'all',
    }),
  },
  {
    ...common,
    name: 'lora with separate biases',
    variant: true,
    config: ({ names }) => ({
      ...lora,
      target_modules: [...names.attention, ...names.feedForward],
      layers_to_transform: [1],
      lora_bias: true,
      bias: 'lora_only',
    }),
    merges: ({ names }) => names.biased,
  },
  {
    ...common,
    name: 'lora beside saved modules, all biases',
    variant: true,
    config: ({ names }) => ({
      ...lora,
      target_modules: names.attention,
      modules_to_save: [names.feedForwardContainer, names.norms[0], ...(names.head ? [names.head] : [])],
      bias: 'all',
    }),
  },
  {
    ...common,
    name: 'lora of embedding and head',
    variant: true,
    config: ({ names }) => ({
      ...lora,
      target_modules: [names.attention[0], names.embedding, ...(names.head ? [names.head] : [])],
    }),
  },
  {
    ...common,
    name: 'lora and trained tokens',
    learningRate: 1e-2,
    variant: true,
    config: ({ names }) => ({ ...lora, target_modules: names.attention, trainable_token_indices: tokens }),
  },
  {
    ...common,
    name: 'lora of the head, tokens by module',
    variant: true,
    config: ({ names }) => ({
      ...lora,
      target_modules: [names.attention[0], ...(names.head ? [names.head] : [])],
      trainable_token_indices: { [names.embedding]: tokens },
    }),
  },
  {
    ...common,
    name: 'dora',
    config: ({ names }) => ({
      ...lora,
      target_modules: [...names.attention, ...names.feedForward],
      use_dora: true,
      use_rslora: true,
      bias: 'lora_only',
    }),
    // DoRA takes the norm in its denominator for a constant (arXiv:2402.09353, section 4.3).
    partialGradient: true,
  },
  {
    ...common,
    name: 'dora of embedding and head',
    variant: true,
    config: ({ names }) => ({
      ...lora,
      target_modules: [names.attention[0], names.embedding, ...(names.head ? [names.head] : [])],
      use_dora: true,
    }),
    partialGradient: true,
  },
  {
    ...common,
    name: 'ia3',
    learningRate: 3e-2,
    config: ({ names }) => ({
      peft_type: 'IA3',
      target_modules: names.ia3,
      feedforward_modules: names.feedForward,
    }),
  },
  {
    ...common,
    name: 'ia3 by default, norms saved',
    variant: true,
    learningRate: 3e-2,
    config: ({ names }) => ({
      peft_type: 'IA3',
      exclude_modules: '.*\\.0\\..*',
      modules_to_save: names.norms.slice(0, 1),
    }),
  },
  {
    ...common,
    name: 'ln_tuning',
    learningRate: 2e-2,
    config: ({ names }) => ({ peft_type: 'LN_TUNING', target_modules: names.norms }),
  },
  {
    ...common,
    name: 'ln_tuning by default',
    variant: true,
    learningRate: 3e-2,
    config: () => ({ peft_type: 'LN_TUNING' }),
  },
  {
    ...common,
    name: 'ln_tuning of other modules',
    variant: true,
    learningRate: 3e-2,
    config: ({ names }) => ({
      peft_type: 'LN_TUNING',
      target_modules: [...names.feedForward, names.head ?? names.norms[0]],
    }),
  },
  {
    ...common,
    name: 'trainable_tokens',
    learningRate: 3e-2,
    config: () => ({ peft_type: 'TRAINABLE_TOKENS', token_indices: tokens }),
  },
  {
    ...common,
    name: 'trainable_tokens of the head, or by name',
    variant: true,
    learningRate: 3e-2,
    config: ({ names }) => ({
      peft_type: 'TRAINABLE_TOKENS',
      token_indices: tokens,
      target_modules: [names.head ?? names.embedding],
    }),
  },
  {
    ...common,
    name: 'bitfit',
    learningRate: 1e-2,
    config: () => ({ peft_type: 'SELECTIVE', preset: 'bitfit' }),
  },
  {
    ...common,
    name: 'retrain_embeddings',
    config: () => ({ peft_type: 'SELECTIVE', preset: 'retrain_embeddings' }),
  },
  {
    ...common,
    name: 'selective: norms and embeddings',
    variant: true,
    config: () => ({ peft_type: 'SELECTIVE', kinds: ['norm', 'embedding'] }),
  },
  {
    ...common,
    name: 'selective: attention and mlp of a layer',
    config: () => ({ peft_type: 'SELECTIVE', kinds: ['attention', 'mlp'], layers: [1] }),
  },
  {
    ...common,
    name: 'selective: names, the head among them',
    variant: true,
    config: ({ names }) => ({
      peft_type: 'SELECTIVE',
      trainable: [names.feedForward[0], names.norms[0], ...(names.head ? [names.head] : [])],
    }),
  },
  { ...soft, name: 'prompt_tuning', config: () => ({ peft_type: 'PROMPT_TUNING', num_virtual_tokens: 5 }) },
  {
    ...soft,
    name: 'p_tuning by mlp',
    start: 'parameters',
    learningRate: 1e-2,
    config: () => ({ peft_type: 'P_TUNING', num_virtual_tokens: 5, encoder_hidden_size: 12 }),
  },
  {
    ...soft,
    name: 'p_tuning by lstm',
    variant: true,
    start: 'parameters',
    learningRate: 3e-2,
    config: () => ({
      peft_type: 'P_TUNING',
      num_virtual_tokens: 4,
      encoder_reparameterization_type: 'LSTM',
      encoder_hidden_size: 10,
      encoder_num_layers: 2,
    }),
  },
  { ...soft, name: 'prefix_tuning', config: () => ({ peft_type: 'PREFIX_TUNING', num_virtual_tokens: 6 }) },
  {
    ...soft,
    name: 'prefix_tuning by projection',
    variant: true,
    start: 'parameters',
    learningRate: 3e-2,
    config: () => ({ peft_type: 'PREFIX_TUNING', num_virtual_tokens: 6, prefix_projection: true }),
  },
  // Seeds follow the order of rows: new ones come last.
  {
    ...common,
    name: 'lora of experts',
    onExperts: true,
    config: ({ names }) => ({
      peft_type: 'LORA',
      r: 2,
      lora_alpha: 8,
      target_modules: names.attention,
      target_parameters: names.experts,
    }),
  },
  {
    ...common,
    name: 'lora of an expert matrix, rank-stabilised',
    onExperts: true,
    config: ({ names }) => ({
      peft_type: 'LORA',
      r: 3,
      target_parameters: names.experts?.slice(0, 1),
      use_rslora: true,
      modules_to_save: names.norms.slice(-1),
    }),
  },
  {
    ...common,
    name: 'lora everywhere, experts and router',
    onExperts: true,
    config: () => ({ peft_type: 'LORA', r: 2, lora_alpha: 6, target_modules: 'all-linear' }),
  },
  ...matrixMethods,
  {
    ...common,
    name: 'lora beside saved experts, all biases',
    onExperts: true,
    jumpsOnExperts: true,
    config: ({ names }) => ({
      peft_type: 'LORA',
      r: 2,
      lora_alpha: 6,
      target_modules: names.attention,
      modules_to_save: names.experts?.slice(0, 1).map((name) => name.replace(/\.[^.]+$/, '')),
      bias: 'all',
    }),
  },
  {
    ...common,
    name: 'lora that an invocation activates',
    only: ['llama', 'gpt2', 'qwen3_moe', 'qwen3_5_text', 'granitemoehybrid'],
    learningRate: 1e-2,
    merges: false,
    config: ({ names }) => ({
      ...lora,
      target_modules: names.attention,
      alora_invocation_tokens: invocation,
    }),
  },
];
