import type { DecoderRow } from '../decoder.ts';
import { wordPattern } from '../decoder-files.ts';
import { matrixTargets } from '../default-targets.ts';
import { decoderGguf, missingOf } from '../gguf/decoder-gguf.ts';
import type { PreTokenizer } from '../gguf/gguf-family.ts';

/** From Llama 3's tokenizer.json. */
const threeDigits: PreTokenizer = { pattern: wordPattern('\\p{N}{1,3}'), ignoreMerges: true, addBos: true };

/** Llama 2 and 3, and SmolLM2. Source: transformers, models/llama/configuration_llama.py and modeling_llama.py. */
export const llama: DecoderRow = {
  className: 'Llama',
  rateExponent: 0.781,
  defaultTargets: {
    ...matrixTargets(['q_proj', 'v_proj']),
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
    missing: (outline) =>
      missingOf(outline, { biases: Object.values(decoderGguf.blockParts), rotation: 'whole heads' }),
  },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: config.flag('mlp_bias') };
  },
};
