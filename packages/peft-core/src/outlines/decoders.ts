import { type DecoderRow, decoderFamily, optionalWindows } from './decoder.ts';
import { decoderGguf, decoderInterface, wordPattern } from './decoder-files.ts';
import type { PreTokenizer } from './family.ts';

/** From Llama 3's tokenizer.json. */
const threeDigits: PreTokenizer = {
  pattern: wordPattern('\\p{N}{1,3}'),
  ignoreMerges: true,
  addBos: true,
};

/** Llama 2 and 3, and SmolLM2. Source: transformers, models/llama/configuration_llama.py and modeling_llama.py. */
const llama: DecoderRow = {
  className: 'Llama',
  rateExponent: 0.781,
  defaultTargets: {
    LORA: { target_modules: ['q_proj', 'v_proj'] },
    IA3: { target_modules: ['k_proj', 'v_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
    LN_TUNING: { target_modules: ['input_layernorm', 'post_attention_layernorm', 'norm'] },
  },
  gguf: {
    ...decoderGguf,
    architecture: 'llama',
    interleaved: true,
    sentencePieceTokenizer: 'llama',
    preTokenizers: {
      'llama-bpe': threeDigits,
      llama3: threeDigits,
      'llama-v3': threeDigits,
      smollm: { digitsApart: true },
    },
  },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: config.flag('mlp_bias') };
  },
};

/** Mistral. Source: transformers, models/mistral/configuration_mistral.py and modeling_mistral.py. */
const mistral: DecoderRow = {
  className: 'Mistral',
  rateExponent: 0.781,
  defaultTargets: llama.defaultTargets,
  // No `gguf`: llama.cpp stores these models under another architecture's name and omits their window.
  defaults: { num_key_value_heads: 8, max_position_embeddings: 131_072, sliding_window: 4096 },
  bias: () => ({ qkv: false, output: false, mlp: false }),
  windows(config, fields) {
    const window = config.sliding_window === null ? null : fields.size('sliding_window');
    return () => window;
  },
};

/** Qwen 2 and 2.5: biases on queries, keys and values. Source: transformers, models/qwen2/configuration_qwen2.py and modeling_qwen2.py. */
const qwen2: DecoderRow = {
  className: 'Qwen2',
  rateExponent: 0.0775,
  defaultTargets: {
    LORA: { target_modules: ['q_proj', 'v_proj'] },
    IA3: { target_modules: ['q_proj', 'v_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
    LN_TUNING: { target_modules: ['post_attention_layernorm'] },
  },
  adaptersInterface: decoderInterface,
  gguf: {
    ...decoderGguf,
    architecture: 'qwen2',
    // From its tokenizer.json.
    preTokenizers: { qwen2: { pattern: wordPattern('\\p{N}'), normalizer: 'NFC' } },
  },
  defaults: { num_key_value_heads: 32, max_position_embeddings: 32_768 },
  bias: () => ({ qkv: true, output: false, mlp: false }),
  windows: optionalWindows,
};

/** Qwen 3: norms on each head's queries and keys. Source: transformers, models/qwen3/configuration_qwen3.py and modeling_qwen3.py. */
const qwen3: DecoderRow = {
  ...qwen2,
  className: 'Qwen3',
  // Its files name the pre-tokenizer of an older family.
  gguf: {
    ...decoderGguf,
    architecture: 'qwen3',
    blockParts: {
      ...decoderGguf.blockParts,
      attn_q_norm: 'self_attn.q_norm',
      attn_k_norm: 'self_attn.k_norm',
    },
  },
  defaults: { num_key_value_heads: 32, head_dim: 128, max_position_embeddings: 32_768 },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: false };
  },
  headNorms: true,
};

/** Decoders with a common forward pass (`models/decoder.ts`), by Hugging Face's `model_type`. */
export const decoders = {
  llama: decoderFamily('llama', llama),
  mistral: decoderFamily('mistral', mistral),
  qwen2: decoderFamily('qwen2', qwen2),
  qwen3: decoderFamily('qwen3', qwen3),
};
