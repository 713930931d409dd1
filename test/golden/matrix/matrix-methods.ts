import type { MethodRow } from './method-row.ts';

const common = { merges: true, start: 'adapter', learningRate: 3e-3 } as const;

/**
 * Layers without biases, with biases under a classifier's head, of an encoder and a decoder, beside experts, of a recurrence, and with
 * a factor of the embedding.
 */
const linear = ['llama', 'bert SEQ_CLS', 't5', 'qwen3_moe', 'qwen3_5_text', 'granite', 'granitemoehybrid'];
/** Where layers store their weight as (in, out), too. */
const withTransposed = [...linear, 'gpt2'];
/** Architectures for other options of the same method. */
const few = ['llama', 'bert SEQ_CLS'];

/** Methods that change the weights of linear layers and embeddings. */
export const matrixMethods: MethodRow[] = [
  {
    ...common,
    name: 'miss',
    only: linear,
    learningRate: 1e-3,
    jumpsOnExperts: true,
    config: ({ names }) => ({
      peft_type: 'MISS',
      r: 6,
      target_modules: [...names.attention, ...names.feedForward],
      bias: 'all',
    }),
  },
  {
    ...common,
    name: 'miss bat',
    only: few,
    config: ({ names }) => ({
      peft_type: 'MISS',
      r: 16,
      target_modules: 'all-linear',
      init_weights: 'bat',
      modules_to_save: names.norms.slice(-1),
    }),
  },
  {
    ...common,
    name: 'miss mini',
    only: few,
    config: ({ names }) => ({
      peft_type: 'MISS',
      r: 12,
      mini_r: 8,
      target_modules: [...names.attention, ...names.feedForward],
      layers_to_transform: [1],
      init_weights: 'mini',
      bias: 'MiSS_only',
    }),
  },
  {
    ...common,
    name: 'oft',
    only: linear,
    learningRate: 1e-2,
    config: ({ names }) => ({
      peft_type: 'OFT',
      oft_block_size: 8,
      target_modules: [...names.attention, ...names.feedForward],
      bias: 'all',
    }),
  },
  {
    ...common,
    name: 'oft exactly, of embedding and head',
    only: few,
    learningRate: 1e-2,
    config: ({ names }) => ({
      peft_type: 'OFT',
      r: 7,
      oft_block_size: 0,
      target_modules: [names.attention[0], names.embedding, ...(names.head ? [names.head] : [])],
      use_cayley_neumann: false,
      modules_to_save: names.norms.slice(-1),
    }),
  },
  {
    ...common,
    name: 'oft, one rotation',
    only: few,
    learningRate: 1e-2,
    config: ({ names }) => ({
      peft_type: 'OFT',
      oft_block_size: 16,
      target_modules: names.feedForward,
      layers_to_transform: [1],
      block_share: true,
      num_cayley_neumann_terms: 6,
      bias: 'oft_only',
    }),
  },
  {
    ...common,
    name: 'hira',
    only: withTransposed,
    learningRate: 1e-2,
    config: ({ names }) => ({
      peft_type: 'HIRA',
      r: 4,
      target_modules: [...names.attention, ...names.feedForward],
    }),
  },
  {
    ...common,
    name: 'hira of embedding and head',
    only: few,
    learningRate: 1e-2,
    config: ({ names }) => ({
      peft_type: 'HIRA',
      r: 4,
      target_modules: [names.attention[0], names.embedding, ...(names.head ? [names.head] : [])],
      init_weights: 'gaussian',
      modules_to_save: names.norms.slice(-1),
    }),
  },
  {
    ...common,
    name: 'lokr',
    only: linear,
    learningRate: 1e-2,
    config: ({ names }) => ({
      peft_type: 'LOKR',
      r: 2,
      alpha: 8,
      target_modules: [...names.attention, ...names.feedForward],
      rank_pattern: { [names.attention[0]!]: 1 },
      alpha_pattern: { [names.feedForward[0]!]: 5 },
    }),
  },
  {
    ...common,
    name: 'lokr, both decomposed',
    only: few,
    learningRate: 1e-2,
    config: ({ names }) => ({
      peft_type: 'LOKR',
      r: 2,
      alpha: 8,
      target_modules: 'all-linear',
      exclude_modules: names.feedForward,
      decompose_both: true,
      decompose_factor: 8,
      init_weights: 'lycoris',
      modules_to_save: names.norms.slice(-1),
    }),
  },
  {
    ...common,
    name: 'loha',
    only: linear,
    learningRate: 1e-2,
    config: ({ names }) => ({
      peft_type: 'LOHA',
      r: 4,
      alpha: 16,
      target_modules: [...names.attention, ...names.feedForward],
      rank_pattern: { [names.attention[0]!]: 3 },
      alpha_pattern: { [names.feedForward[0]!]: 5 },
    }),
  },
  {
    ...common,
    name: 'vera',
    only: withTransposed,
    learningRate: 1e-2,
    config: ({ names }) => ({
      peft_type: 'VERA',
      r: 24,
      target_modules: [...names.attention, ...names.feedForward],
    }),
  },
  {
    ...common,
    name: 'vera without projections',
    only: few,
    learningRate: 1e-2,
    config: ({ names }) => ({
      peft_type: 'VERA',
      r: 40,
      target_modules: 'all-linear',
      projection_prng_key: 42,
      save_projection: false,
      d_initial: 0.3,
      bias: 'all',
      modules_to_save: names.norms.slice(-1),
    }),
  },
];
