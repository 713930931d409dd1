import type { PeftConfig } from '../config.ts';
import { lora } from './lora/index.ts';
import type { Tuner } from './tuner.ts';

/** Every PEFT method: a folder and a row here. */
const tuners: Record<PeftConfig['peft_type'], Tuner> = { LORA: lora };

export function tunerFor(config: PeftConfig): Tuner {
  return tuners[config.peft_type];
}
