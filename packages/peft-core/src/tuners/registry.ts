import type { PeftConfig } from '../config/index.ts';
import type { Architecture } from '../models/architecture.ts';
import { bottleneck } from './bottleneck/index.ts';
import { ia3 } from './ia3/index.ts';
import { lnTuning } from './ln-tuning/index.ts';
import { lora } from './lora/index.ts';
import { pTuning } from './p-tuning/index.ts';
import { prefixTuning } from './prefix-tuning/index.ts';
import { promptTuning } from './prompt-tuning/index.ts';
import { selective } from './selective/index.ts';
import { trainableTokens } from './trainable-tokens/index.ts';
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
