import type { ModelOutline } from '../outlines/outline.ts';
import { countOf } from './file-tensors.ts';
import { methodOf, type PeftConfig } from './methods.ts';

/** Number of parameters that a config trains; it must fit the model. Start values that become a part of the files are counted, too. */
export function trainedParameters(peft: PeftConfig, model: ModelOutline): number {
  const method = methodOf(peft);
  if (method.trainedParameters) return method.trainedParameters(peft, model);
  return countOf(method.fileTensors!(peft, model).filter(({ needless }) => !needless));
}

/** Number of values that training keeps beside them and never changes. */
export function constantParameters(peft: PeftConfig, model: ModelOutline): number {
  return methodOf(peft).constantParameters?.(peft, model) ?? 0;
}
