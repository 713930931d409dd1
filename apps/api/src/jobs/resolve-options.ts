import { checkAgainstModel as check } from '@graft/peft-core/check';
import type { PeftConfig } from '@graft/peft-core/config';
import { outlineOf } from '@graft/peft-core/outlines';
import type { LocalBaseModel } from '@graft/service';

/** Whether a PEFT config fits a base model, from its config and the shapes of its weights. Throws peft-core's GraftErrors, which name the option. */
export function checkAgainstModel(
  peft: PeftConfig,
  { config, tensors }: Pick<LocalBaseModel, 'config' | 'tensors'>,
): void {
  check(peft, config, tensors);
}

/** Tokens the model can attend to. Throws `unsupported_model`, `invalid_model_config`. */
export function contextLength({ config }: Pick<LocalBaseModel, 'config'>): number {
  return outlineOf(config).maxPositions;
}
