import { type DecoderKind, type DecoderOutline, decoderOutline } from './decoder.ts';
import type { TaskType } from './outline.ts';

/** Source: transformers, models/llama/configuration_llama.py and modeling_llama.py. */
const kind: DecoderKind = {
  modelType: 'llama',
  defaultTargets: {
    LORA: { target_modules: ['q_proj', 'v_proj'] },
    IA3: { target_modules: ['k_proj', 'v_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
    LN_TUNING: { target_modules: ['input_layernorm', 'post_attention_layernorm', 'norm'] },
  },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: config.flag('mlp_bias') };
  },
};

export const llamaOutline = (raw: Record<string, unknown>, task: TaskType): DecoderOutline =>
  decoderOutline(kind, raw, task);
