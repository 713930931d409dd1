import { type BottleneckConfig, bottleneckMethod } from '../tuners/bottleneck/config.ts';
import { type LoraConfig, loraMethod } from '../tuners/lora/config.ts';
import type { MethodConfig } from './method-config.ts';

/** A PEFT config with every field filled in, told apart by `peft_type`. */
export type PeftConfig = BottleneckConfig | LoraConfig;

/** Every method's config, by `peft_type`; `tuners/registry.ts` has the same rows. */
export const methods: Record<PeftConfig['peft_type'], MethodConfig> = {
  LORA: loraMethod,
  BOTTLENECK: bottleneckMethod,
};

export const peftTypes = Object.keys(methods) as PeftConfig['peft_type'][];
