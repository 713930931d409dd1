import type { DecoderRow } from '../decoder.ts';
import { decoderInterface, wordPattern } from '../decoder-files.ts';
import { optionalWindows } from '../decoder-layers.ts';
import { matrixTargets } from '../default-targets.ts';
import { decoderGguf, missingOf } from '../gguf/decoder-gguf.ts';

/** Qwen 2 and 2.5: biases on queries, keys and values. Source: transformers, models/qwen2/configuration_qwen2.py and modeling_qwen2.py. */
export const qwen2: DecoderRow = {
  className: 'Qwen2',
  rateExponent: 0.0775,
  defaultTargets: {
    ...matrixTargets(['q_proj', 'v_proj']),
    IA3: { target_modules: ['q_proj', 'v_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
    LN_TUNING: { target_modules: ['post_attention_layernorm'] },
  },
  adaptersInterface: decoderInterface,
  gguf: {
    ...decoderGguf,
    architecture: 'qwen2',
    // From its tokenizer.json.
    preTokenizers: { qwen2: { pattern: wordPattern('\\p{N}'), normalizer: 'NFC' } },
    missing: (outline) => missingOf(outline, { heads: 'fill the width' }),
  },
  defaults: { num_key_value_heads: 32, max_position_embeddings: 32_768 },
  bias: () => ({ qkv: true, output: false, mlp: false }),
  windows: optionalWindows,
};
