import { type DecoderKind, type DecoderOutline, decoderOutline } from './decoder.ts';
import { decoderInterface } from './decoder-files.ts';
import type { TaskType } from './outline.ts';
import { qwenWindows } from './qwen-windows.ts';

/** Source: transformers, models/qwen2/configuration_qwen2.py and modeling_qwen2.py. */
const kind: DecoderKind = {
  modelType: 'qwen2',
  adaptersInterface: decoderInterface,
  defaultTargets: {
    LORA: { target_modules: ['q_proj', 'v_proj'] },
    IA3: { target_modules: ['q_proj', 'v_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
    LN_TUNING: { target_modules: ['post_attention_layernorm'] },
  },
  defaults: { num_key_value_heads: 32, max_position_embeddings: 32_768 },
  bias: () => ({ qkv: true, output: false, mlp: false }),
  windows: qwenWindows,
};

export const qwen2Outline = (raw: Record<string, unknown>, task: TaskType): DecoderOutline =>
  decoderOutline(kind, raw, task);
