/** Every tuner on a tiny model of each architecture; conformance.test.ts has every option of each, on llama. */
import { modelTypes } from '../outlines/index.ts';
import { type ConformanceModel, testTuners } from '../testing/test-tuners.ts';

/** A model, and ends of the names of its modules. */
interface Family extends ConformanceModel {
  /** Set where the layers are llama's but for what they do to queries and keys: these methods alone are tried. */
  only?: string[];
  attention: string;
  feedForward: string;
  norm: string;
  keys: string[];
}

const answers = {
  line: (i: number) => ({ prompt: `${i}:`, completion: ` ${i % 2 ? 'odd' : 'even'}` }),
  probes: [{ text: '3: odd' }, { text: 'anything else?' }],
};
const embeddings = {
  line: (i: number) => ({ anchor: `${i} a`, positive: `${i} is the same` }),
  probes: answers.probes,
};
const pairs = {
  line: (i: number) => ({ text: `${i}:`, target: i % 2 ? 'odd' : 'even' }),
  probes: [
    { text: '3:', target: 'odd' },
    { text: 'anything', target: 'else?' },
  ],
};
const decoder = {
  ...answers,
  attention: 'q_proj',
  feedForward: 'down_proj',
  norm: 'input_layernorm',
  keys: ['k_proj', 'v_proj'],
};
/** One that changes layers, one that scales keys, one that puts others before them. */
const likeLlama = { ...decoder, only: ['LORA', 'IA3', 'PREFIX_TUNING'] };
const encoder = {
  ...embeddings,
  attention: 'query',
  feedForward: 'output.dense',
  norm: 'output.LayerNorm',
  keys: ['key', 'value'],
};
const noDropout = { hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };

/** By `model_type`; llama is conformance.test.ts's. */
const families: Record<string, Family> = {
  mistral: { ...likeLlama, config: { model_type: 'mistral', sliding_window: 6 } },
  qwen2: { ...likeLlama, config: { model_type: 'qwen2' } },
  qwen3: { ...likeLlama, config: { model_type: 'qwen3' } },
  gpt2: {
    ...answers,
    config: {
      ...{ model_type: 'gpt2', n_embd: 32, n_inner: 64, n_layer: 2, n_head: 4, n_positions: 256 },
      ...{ resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 },
    },
    attention: 'c_attn',
    feedForward: 'mlp.c_proj',
    norm: 'ln_2',
    keys: ['c_attn'],
  },
  bert: { ...encoder, config: { model_type: 'bert', ...noDropout } },
  roberta: { ...encoder, config: { model_type: 'roberta', pad_token_id: 1, ...noDropout } },
  t5: {
    ...pairs,
    config: {
      ...{ model_type: 't5', d_model: 32, d_kv: 8, d_ff: 64, num_layers: 2, num_heads: 4, dropout_rate: 0 },
      ...{ feed_forward_proj: 'gated-gelu', decoder_start_token_id: 258, pad_token_id: 258 },
    },
    attention: 'q',
    feedForward: 'wo',
    norm: 'layer_norm',
    keys: ['k', 'v'],
  },
};

for (const type of modelTypes.filter((each) => each !== 'llama')) {
  const family = families[type]!;
  const { attention, feedForward, norm, keys } = family;
  const encodes = family.line === embeddings.line;
  const common = {
    task_type: encodes ? 'FEATURE_EXTRACTION' : type === 't5' ? 'SEQ_2_SEQ_LM' : 'CAUSAL_LM',
  };
  const prompt = { ...common, num_virtual_tokens: 3 };
  const configurations = {
    [`${type}, LORA`]: { ...common, peft_type: 'LORA', r: 2, target_modules: [attention, feedForward] },
    [`${type}, DoRA`]: { ...common, peft_type: 'LORA', r: 2, target_modules: 'all-linear', use_dora: true },
    [`${type}, IA3`]: {
      ...common,
      peft_type: 'IA3',
      target_modules: [...keys, feedForward],
      feedforward_modules: [feedForward],
    },
    [`${type}, LN_TUNING`]: { ...common, peft_type: 'LN_TUNING', target_modules: [norm] },
    [`${type}, TRAINABLE_TOKENS`]: {
      ...common,
      peft_type: 'TRAINABLE_TOKENS',
      token_indices: [51, 58, 111],
    },
    [`${type}, SELECTIVE`]: { ...common, peft_type: 'SELECTIVE', kinds: ['norm', 'attention'], layers: [1] },
    [`${type}, BOTTLENECK`]: {
      ...common,
      peft_type: 'BOTTLENECK',
      preset: 'double_seq_bn',
      reduction_factor: 4,
      non_linearity: 'gelu', // Finite differences stumble over a relu's bend.
    },
    [`${type}, PROMPT_TUNING`]: { ...prompt, peft_type: 'PROMPT_TUNING' },
    [`${type}, P_TUNING`]: { ...prompt, peft_type: 'P_TUNING', encoder_hidden_size: 5 },
    [`${type}, PREFIX_TUNING`]: { ...prompt, peft_type: 'PREFIX_TUNING' },
  };
  testTuners(
    family,
    Object.fromEntries(
      Object.entries(configurations).filter(
        ([name]) => !family.only || family.only.some((method) => name === `${type}, ${method}`),
      ),
    ),
  );
}
