import { checkAgainstModel as check } from '@graft/peft-core/check';
import type { PeftConfig } from '@graft/peft-core/config';
import type { LocalBaseModel } from '@graft/service';

/** Whether a PEFT config fits a base model, from the model's config alone. Throws peft-core's GraftErrors, which name the option. */
export function checkAgainstModel(peft: PeftConfig, { config }: Pick<LocalBaseModel, 'config'>): void {
  check(peft, config);
}

/** Tokens the model can attend to. */
export function contextLength({ config }: Pick<LocalBaseModel, 'config'>): number {
  const positions = config.max_position_embeddings;
  return typeof positions === 'number' && positions > 0 ? positions : Number.POSITIVE_INFINITY;
}
