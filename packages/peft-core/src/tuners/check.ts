/** Whether a PEFT config fits a model, from config.json alone: loads no TensorFlow, so the API asks it before a job is taken. */
import type { PeftConfig } from '../config.ts';
import { outlineOf } from '../outlines/index.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import { checkBottleneck } from './bottleneck/check.ts';
import { checkIa3 } from './ia3/check.ts';
import { checkLnTuning } from './ln-tuning/check.ts';
import { checkLora } from './lora/check.ts';
import { checkPTuning } from './p-tuning/check.ts';
import { checkPrefixTuning } from './prefix-tuning/check.ts';
import { checkPromptTuning } from './prompt-tuning/check.ts';
import { textRows } from './prompt-tuning/text-rows.ts';
import { checkSelective } from './selective/check.ts';
import { checkTrainableTokens } from './trainable-tokens/check.ts';

type Check<Type extends PeftConfig['peft_type']> = (
  config: Extract<PeftConfig, { peft_type: Type }>,
  model: ModelOutline,
) => void;

/** Every method's check, by `peft_type`; `registry.ts` has the same rows. */
const checks: { [Type in PeftConfig['peft_type']]: Check<Type> } = {
  LORA: checkLora,
  IA3: checkIa3,
  LN_TUNING: checkLnTuning,
  TRAINABLE_TOKENS: checkTrainableTokens,
  SELECTIVE: checkSelective,
  BOTTLENECK: checkBottleneck,
  PROMPT_TUNING: checkPromptTuning,
  P_TUNING: checkPTuning,
  PREFIX_TUNING: checkPrefixTuning,
};

/**
 * Throws GraftError naming the option that does not fit: `unsupported_model`, `unsupported_task`, `target_modules_not_found`,
 * `rank_too_large`, and what the method's own check throws.
 */
export function checkAgainstModel(peft: PeftConfig, modelConfig: Record<string, unknown>): void {
  const check = checks[peft.peft_type] as (config: PeftConfig, model: ModelOutline) => void;
  check(peft, outlineOf(modelConfig, peft.task_type));
}

/** Throws `invalid_peft_config` where a soft prompt begins as a text that the base model's tokenizer and table do not have. */
export function checkInitialText(
  peft: PeftConfig,
  modelConfig: Record<string, unknown>,
  encode: (text: string) => number[],
): void {
  if (peft.peft_type !== 'PROMPT_TUNING' || peft.prompt_tuning_init !== 'TEXT') return;
  const { vocabularySize } = outlineOf(modelConfig, peft.task_type);
  textRows(peft.prompt_tuning_init_text!, encode, { count: 0, vocabularySize });
}
