import type { ModelOutline } from '../outlines/outline.ts';
import { countOf } from './file-tensors.ts';
import { methodOf, type PeftConfig } from './methods.ts';

/** Number of parameters that a config trains; it must fit the model. */
export function trainedParameters(peft: PeftConfig, model: ModelOutline): number {
  const method = methodOf(peft);
  if (method.trainedParameters) return method.trainedParameters(peft, model);
  return countOf(method.fileTensors!(peft, model).filter(({ needless }) => !needless));
}
