/** Every tuner on a tiny model of each architecture; conformance.test.ts has every option of each, on llama. */
import { modelTypes } from '../outlines/index.ts';
import { type ConformanceModel, testTuners } from '../testing/test-tuners.ts';
import { tinyFamilies } from '../testing/tiny-families.ts';

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

/** By `model_type`; llama is conformance.test.ts's. */
const families: Record<string, Family> = {
  mistral: { ...likeLlama, config: { model_type: 'mistral', sliding_window: 6 } },
  qwen2: { ...likeLlama, config: { model_type: 'qwen2' } },
  qwen3: { ...likeLlama, config: { model_type: 'qwen3' } },
  gpt2: {
    ...answers,
    config: tinyFamilies.gpt2,
    attention: 'c_attn',
    feedForward: 'mlp.c_proj',
    norm: 'ln_2',
    keys: ['c_attn'],
  },
  bert: { ...encoder, config: tinyFamilies.bert },
  roberta: { ...encoder, config: tinyFamilies.roberta },
  t5: {
    ...pairs,
    config: tinyFamilies.t5,
    attention: 'q',
    feedForward: 'wo',
    norm: 'layer_norm',
    keys: ['k', 'v'],
  },
};

for (const type of modelTypes.filter((each) => each !== 'llama')) {
  const family = families[type];
  if (!family) throw new Error(`give families a row for ${type}`);
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
