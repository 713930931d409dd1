import type { Architecture } from '../models/architecture.ts';
import { bottleneckTuner } from './bottleneck/tuner.ts';
import { hiraTuner } from './hira/tuner.ts';
import { ia3Tuner } from './ia3/tuner.ts';
import { lnTuningTuner } from './ln-tuning/tuner.ts';
import { lohaTuner } from './loha/tuner.ts';
import { lokrTuner } from './lokr/tuner.ts';
import { loraTuner } from './lora/tuner.ts';
import type { PeftConfig, PeftType } from './methods.ts';
import { missTuner } from './miss/tuner.ts';
import { oftTuner } from './oft/tuner.ts';
import { pTuningTuner } from './p-tuning/tuner.ts';
import { prefixTuningTuner } from './prefix-tuning/tuner.ts';
import { promptTuningTuner } from './prompt-tuning/tuner.ts';
import { selectiveTuner } from './selective/tuner.ts';
import { trainableTokensTuner } from './trainable-tokens/tuner.ts';
import type { Attachment, AttachmentForm, Tuner } from './tuner.ts';
import { veraTuner } from './vera/tuner.ts';

/** The tuner of every method, by `peft_type`; `methods.ts` has the same rows. */
const tuners: { [Type in PeftType]: Tuner<PeftConfig<Type>> } = {
  LORA: loraTuner,
  IA3: ia3Tuner,
  LN_TUNING: lnTuningTuner,
  TRAINABLE_TOKENS: trainableTokensTuner,
  SELECTIVE: selectiveTuner,
  BOTTLENECK: bottleneckTuner,
  PROMPT_TUNING: promptTuningTuner,
  P_TUNING: pTuningTuner,
  PREFIX_TUNING: prefixTuningTuner,
  MISS: missTuner,
  OFT: oftTuner,
  HIRA: hiraTuner,
  LOKR: lokrTuner,
  LOHA: lohaTuner,
  VERA: veraTuner,
};

export function tunerFor(config: PeftConfig): Tuner {
  return tuners[config.peft_type] as Tuner;
}

/** The key in the adapter's files of each parameter and copy, by its name. */
export function keysOf(config: PeftConfig): (name: string) => string {
  const { keyPrefix, keys = {} } = tunerFor(config);
  return (name) => keys[name] ?? keyPrefix + name;
}

export function attach(config: PeftConfig, model: Architecture, form: AttachmentForm): Attachment {
  return tunerFor(config).attach(config, model, form);
}
