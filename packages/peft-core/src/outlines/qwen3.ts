import { type DecoderKind, type DecoderOutline, decoderOutline } from './decoder.ts';
import { decoderInterface } from './decoder-files.ts';
import type { TaskType } from './outline.ts';
import { qwenWindows } from './qwen-windows.ts';

/** Source: transformers, models/qwen3/configuration_qwen3.py and modeling_qwen3.py. */
const kind: DecoderKind = {
  modelType: 'qwen3',
  adaptersInterface: decoderInterface,
  defaultTargets: {
    LORA: { target_modules: ['q_proj', 'v_proj'] },
    IA3: { target_modules: ['q_proj', 'v_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
    LN_TUNING: { target_modules: ['post_attention_layernorm'] },
  },
  defaults: { num_key_value_heads: 32, head_dim: 128, max_position_embeddings: 32_768 },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: false };
  },
  headNorms: true,
  windows: qwenWindows,
};

export const qwen3Outline = (raw: Record<string, unknown>, task: TaskType): DecoderOutline =>
  decoderOutline(kind, raw, task);
