import type { ModelOutline } from '../../outlines/outline.ts';
import type { SelectiveConfig } from './method.ts';
import { selectedParameters } from './selected.ts';

/** Throws `invalid_peft_config`. */
export function checkSelective(config: SelectiveConfig, model: ModelOutline): void {
  selectedParameters(config, model);
}
