/** Whether a PEFT config fits a model, from config.json alone: loads no TensorFlow, so the API asks it before a job is taken. */

import { checkShapes, missingWeights, type StoredTensors } from '../base-model/check-model.ts';
import { GraftError } from '../errors.ts';
import { outlineOf } from '../outlines/index.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import { optionError } from '../schema/check-fields.ts';
import { patternSteps } from '../schema/module-options.ts';
import type { FileTensor } from './file-tensors.ts';
import { methodOf, type PeftConfig } from './methods.ts';

export { type ModuleKind, moduleKinds } from './module-kinds.ts';

/**
 * Checks a request against its base model: config.json, and where they are given the names and shapes of its tensors. Throws
 * GraftError naming the option that does not fit: `unsupported_model`, `unsupported_task`, `target_modules_not_found`,
 * `rank_too_large`, `invalid_model`, and what the method's own check throws.
 */
export function checkAgainstModel(
  peft: PeftConfig,
  modelConfig: Record<string, unknown>,
  tensors: StoredTensors | null = null,
): void {
  const model = outlineOf(modelConfig, peft.task_type);
  if (tensors) checkTaskWeights(model, tensors);
  checkPatternSteps(peft, model);
  const method = methodOf(peft);
  method.checkIdle?.(peft, model);
  method.check(peft, model);
}

/** Steps of matching regular expressions that one check may take: some seconds at the very worst. */
const MAX_STEPS = 8_000_000;

/** What `checkAgainstModel` costs at most, in steps of matching regular expressions: some 10⁶ a second. */
export function stepsOfCheck(peft: PeftConfig, modelConfig: Record<string, unknown>): number {
  return stepsOf(peft, outlineOf(modelConfig, peft.task_type)).steps;
}

/** Throws `invalid_peft_config` for regular expressions that are too large for the number of the model's modules. */
function checkPatternSteps(peft: PeftConfig, model: ModelOutline): void {
  const { option, steps } = stepsOf(peft, model);
  if (steps > MAX_STEPS)
    throw optionError(
      option,
      `its regular expressions take up to ${steps} steps to match with the modules of this model; the limit is ${MAX_STEPS}. Shorten them, repeat less, or list names`,
    );
}

/** Parameters have longer paths than modules, and the method that chooses parameters matches those. */
function stepsOf(peft: PeftConfig, { modules, parameters }: ModelOutline) {
  const named = 'trainable' in peft ? parameters : modules;
  const characters = named.reduce((sum, { name }) => sum + name.length, 0);
  return patternSteps(peft, characters);
}

/** The same for a config from an adapter's files. Options that have no effect are accepted there, as in HF PEFT. */
export function checkFilesAgainstModel(
  peft: PeftConfig,
  modelConfig: Record<string, unknown>,
  tensors: StoredTensors,
): void {
  const model = outlineOf(modelConfig, peft.task_type);
  checkTaskWeights(model, tensors);
  methodOf(peft).check(peft, model);
}

/**
 * The tensors that files with this config must hold for a model, and no others, once the config fits it. Throws as
 * `checkAgainstModel` does, and `unimplemented_peft_type` for methods whose files are made by Graft alone.
 */
export function fileTensorsFor(peft: PeftConfig, modelConfig: Record<string, unknown>): FileTensor[] {
  const model = outlineOf(modelConfig, peft.task_type);
  checkPatternSteps(peft, model);
  const method = methodOf(peft);
  method.check(peft, model);
  if (method.fileTensors) return method.fileTensors(peft, model);
  throw new GraftError(
    'unimplemented_peft_type',
    `peft.peft_type: files of ${peft.peft_type} that were made elsewhere are not taken`,
    { param: 'peft.peft_type' },
  );
}

/** The part of `checkAgainstModel` that reads the names and shapes of the model's tensors. */
export function checkStoredWeights(
  peft: PeftConfig,
  modelConfig: Record<string, unknown>,
  tensors: StoredTensors,
): void {
  checkTaskWeights(outlineOf(modelConfig, peft.task_type), tensors);
}

/** A model may lack weights that only other tasks than its own read: an encoder's pooler, a language model's head. */
function checkTaskWeights(model: ModelOutline, tensors: StoredTensors): void {
  const missing = missingWeights(tensors, model);
  if (missing.length > 0)
    throw new GraftError(
      'unsupported_task',
      `the base model was saved without ${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ', …' : ''}, which ${model.task} reads; choose another task, or a base model that has ${missing.length > 1 ? 'them' : 'it'}`,
      { param: 'peft.task_type' },
    );
  checkShapes('the base model', tensors, model);
}

/** Throws `invalid_peft_config` for a text to start from that the base model's tokenizer or embedding table cannot represent. */
export function checkInitialText(
  peft: PeftConfig,
  modelConfig: Record<string, unknown>,
  encode: (text: string) => number[],
): void {
  methodOf(peft).checkInitialText?.(peft, outlineOf(modelConfig, peft.task_type), encode);
}
