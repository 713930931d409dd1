import { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { checkPrompt } from '../soft-prompt.ts';
import type { PrefixTuningConfig } from './method.ts';

/** Throws `unsupported_task`, `unsupported_model`, `invalid_peft_config`, `target_modules_not_found`. */
export function checkPrefixTuning(config: PrefixTuningConfig, model: ModelOutline): void {
  if (model.task === 'SEQ_CLS' || model.task === 'TOKEN_CLS')
    throw new GraftError(
      'unsupported_task',
      `PREFIX_TUNING does not go with ${model.task}: transformers' classifiers take no keys and values from outside, so HF PEFT cannot do it either; PROMPT_TUNING and P_TUNING can`,
      { param: 'peft.task_type' },
    );
  const { kvHeads, headSize, hiddenSize, layers, encoderLayers = layers } = model;
  if (encoderLayers !== layers)
    throw new GraftError(
      'unsupported_model',
      `PREFIX_TUNING: HF PEFT has a prefix for each of the encoder's ${encoderLayers} layers, but the decoder has ${layers}`,
      { param: 'model' },
    );
  if (model.task === 'SEQ_2_SEQ_LM' && kvHeads * headSize !== hiddenSize)
    throw new GraftError(
      'unsupported_model',
      `PREFIX_TUNING: HF PEFT cuts the model's width, ${hiddenSize}, into heads; this model's are ${kvHeads} × ${headSize}`,
      { param: 'model' },
    );
  checkPrompt(config, model);
}
