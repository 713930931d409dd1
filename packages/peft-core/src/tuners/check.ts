/** Checks whether a PEFT config fits a model, from config.json alone. Loads no TensorFlow, so the API can check before it accepts a job. */

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
 * Checks a request against its base model's config.json and, if given, the names and shapes of its tensors. Throws a
 * GraftError that names the option that does not fit: `unsupported_model`, `unsupported_task`, `target_modules_not_found`,
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

/** Maximum number of regular-expression steps of one check: a few seconds in the worst case. */
const MAX_STEPS = 8_000_000;

/** Upper bound of the cost of `checkAgainstModel` in regular-expression steps; about 10⁶ run in a second. */
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

/** The method that selects parameters matches parameter paths, which are longer than module paths. */
function stepsOf(peft: PeftConfig, { modules, parameters }: ModelOutline) {
  const named = 'trainable' in peft ? parameters : modules;
  const characters = named.reduce((sum, { name }) => sum + name.length, 0);
  return patternSteps(peft, characters);
}

/** `checkAgainstModel` for a config from an adapter's files. As in HF PEFT, options without effect are accepted there. */
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
 * The tensors that files with this config must hold for a model, and no others. Checks first that the config fits the model. Throws what
 * `checkAgainstModel` throws, and `unimplemented_peft_type` for methods of which Graft reads only its own files.
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

/** The part of `checkAgainstModel` that checks the names and shapes of the model's tensors. */
export function checkStoredWeights(
  peft: PeftConfig,
  modelConfig: Record<string, unknown>,
  tensors: StoredTensors,
): void {
  checkTaskWeights(outlineOf(modelConfig, peft.task_type), tensors);
}

/** A model may lack weights that its own task does not read: an encoder's pooler, a language model's head. */
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

/** Throws `invalid_peft_config` for an initial text that the base model's tokenizer or embedding table cannot represent. */
export function checkInitialText(
  peft: PeftConfig,
  modelConfig: Record<string, unknown>,
  encode: (text: string) => number[],
): void {
  methodOf(peft).checkInitialText?.(peft, outlineOf(modelConfig, peft.task_type), encode);
}
