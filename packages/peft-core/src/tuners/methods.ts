import { type BottleneckConfig, bottleneckMethod } from './bottleneck/config.ts';
import { type Ia3Config, ia3Method } from './ia3/method.ts';
import { type LnTuningConfig, lnTuningMethod } from './ln-tuning/method.ts';
import { type LoraConfig, loraMethod } from './lora/config.ts';
import type { MethodConfig } from './method.ts';
import { type PTuningConfig, pTuningMethod } from './p-tuning/method.ts';
import { type PrefixTuningConfig, prefixTuningMethod } from './prefix-tuning/method.ts';
import { type PromptTuningConfig, promptTuningMethod } from './prompt-tuning/method.ts';
import { type SelectiveConfig, selectiveMethod } from './selective/method.ts';
import { type TrainableTokensConfig, trainableTokensMethod } from './trainable-tokens/method.ts';

/** A PEFT config with every field filled in, told apart by `peft_type`. */
export type PeftConfig =
  | BottleneckConfig
  | Ia3Config
  | LnTuningConfig
  | LoraConfig
  | PromptTuningConfig
  | PTuningConfig
  | PrefixTuningConfig
  | SelectiveConfig
  | TrainableTokensConfig;

/** Every method's config, by `peft_type`; `tuners/registry.ts` has the same rows. */
export const methods: Record<PeftConfig['peft_type'], MethodConfig> = {
  LORA: loraMethod,
  IA3: ia3Method,
  LN_TUNING: lnTuningMethod,
  TRAINABLE_TOKENS: trainableTokensMethod,
  SELECTIVE: selectiveMethod,
  BOTTLENECK: bottleneckMethod,
  PROMPT_TUNING: promptTuningMethod,
  P_TUNING: pTuningMethod,
  PREFIX_TUNING: prefixTuningMethod,
};

export const peftTypes = Object.keys(methods) as PeftConfig['peft_type'][];
