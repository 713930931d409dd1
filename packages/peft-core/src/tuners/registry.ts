import type { PeftConfig } from '../config/index.ts';
import type { Architecture } from '../models/architecture.ts';
import { bottleneck } from './bottleneck/tuner.ts';
import { ia3 } from './ia3/tuner.ts';
import { lnTuning } from './ln-tuning/tuner.ts';
import { lora } from './lora/tuner.ts';
import { pTuning } from './p-tuning/tuner.ts';
import { prefixTuning } from './prefix-tuning/tuner.ts';
import { promptTuning } from './prompt-tuning/tuner.ts';
import { selective } from './selective/tuner.ts';
import { trainableTokens } from './trainable-tokens/tuner.ts';
import type { Attachment, AttachmentForm, Tuner } from './tuner.ts';

/** Every PEFT method: a folder and a row here. */
const tuners: { [Type in PeftConfig['peft_type']]: Tuner<Extract<PeftConfig, { peft_type: Type }>> } = {
  LORA: lora,
  IA3: ia3,
  LN_TUNING: lnTuning,
  TRAINABLE_TOKENS: trainableTokens,
  SELECTIVE: selective,
  BOTTLENECK: bottleneck,
  PROMPT_TUNING: promptTuning,
  P_TUNING: pTuning,
  PREFIX_TUNING: prefixTuning,
};

export function tunerFor(config: PeftConfig): Tuner {
  return tuners[config.peft_type] as Tuner;
}

/** Applies a PEFT config to an architecture. */
export function attach(config: PeftConfig, model: Architecture, form: AttachmentForm): Attachment {
  return tunerFor(config).attach(config, model, form);
}
