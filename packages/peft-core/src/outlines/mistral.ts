import { type DecoderKind, type DecoderOutline, decoderOutline } from './decoder.ts';
import type { TaskType } from './outline.ts';

/** Source: transformers, models/mistral/configuration_mistral.py and modeling_mistral.py. */
const kind: DecoderKind = {
  modelType: 'mistral',
  defaultTargets: {
    LORA: { target_modules: ['q_proj', 'v_proj'] },
    IA3: { target_modules: ['k_proj', 'v_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
    LN_TUNING: { target_modules: ['input_layernorm', 'post_attention_layernorm', 'norm'] },
  },
  defaults: { num_key_value_heads: 8, max_position_embeddings: 131_072, sliding_window: 4096 },
  bias: () => ({ qkv: false, output: false, mlp: false }),
  windows(config, fields) {
    const window = config.sliding_window === null ? null : fields.size('sliding_window');
    return () => window;
  },
};

export const mistralOutline = (raw: Record<string, unknown>, task: TaskType): DecoderOutline =>
  decoderOutline(kind, raw, task);
