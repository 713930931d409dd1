import { checkAgainstModel as check } from '@graft/peft-core/check';
import type { PeftConfig } from '@graft/peft-core/config';
import { outlineOf } from '@graft/peft-core/outlines';
import type { LocalBaseModel } from '@graft/service';

/** Whether a PEFT config fits a base model, from the model's config alone. Throws peft-core's GraftErrors, which name the option. */
export function checkAgainstModel(peft: PeftConfig, { config }: Pick<LocalBaseModel, 'config'>): void {
  check(peft, config);
}

/** Tokens the model can attend to. Throws `unsupported_model`, `invalid_model_config`. */
export function contextLength({ config }: Pick<LocalBaseModel, 'config'>): number {
  return outlineOf(config).maxPositions;
}
