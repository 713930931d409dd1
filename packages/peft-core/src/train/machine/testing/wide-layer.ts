import { parsePeftConfig } from '../../../config/index.ts';
import { architectureFor } from '../../../models/registry.ts';
import { tinyConfig } from '../../../testing/tiny-model.ts';

/** One layer with matrices of these sizes. */
export const modelWith = (hidden: number, wide: number) =>
  architectureFor(
    'llama',
    {
      ...tinyConfig,
      hidden_size: hidden,
      intermediate_size: wide,
      num_hidden_layers: 1,
      head_dim: hidden / 4,
    },
    'CAUSAL_LM',
  );

/** down_proj is `(768, 2560)`. */
export const wideModel = modelWith(768, 2560);

export const configWith = (options: Record<string, unknown>) =>
  parsePeftConfig({ peft_type: 'LORA', r: 16, target_modules: ['down_proj'], ...options });
