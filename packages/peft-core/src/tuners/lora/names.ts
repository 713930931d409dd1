import type { LoraConfig } from '../../config/index.ts';
import type { LoraTarget } from './targets.ts';

/** Names of an adapted module's parameters, as in PEFT's files. */
export interface LoraNames {
  a: string;
  b: string;
  magnitude: string | null;
  /** The update's own bias. */
  bias: string | null;
}

export function loraNames({ name, kind }: LoraTarget, config: LoraConfig): LoraNames {
  const factors =
    kind === 'embedding'
      ? { a: `${name}.lora_embedding_A`, b: `${name}.lora_embedding_B` }
      : { a: `${name}.lora_A.weight`, b: `${name}.lora_B.weight` };
  return {
    ...factors,
    magnitude: config.use_dora ? `${name}.lora_magnitude_vector` : null,
    bias: config.lora_bias ? `${name}.lora_B.bias` : null,
  };
}
