import { checkAgainstModel } from '@graft/peft-core/check';
import {
  type Hyperparameters,
  type PeftConfig,
  type ResolvedTraining,
  resolveTraining,
  type TrainingOptions,
} from '@graft/peft-core/config';
import { outlineOf } from '@graft/peft-core/outlines';
import type { LocalBaseModel } from '@graft/service';

/** Options of a job, parsed. */
export interface JobOptions {
  peft: PeftConfig;
  training: TrainingOptions;
  hyperparameters: Hyperparameters;
}

/**
 * Fixes every training value that a job left to Graft, and checks its options against the base model where that is at
 * hand. `exampleCount`: lines of the training file. Throws peft-core's GraftErrors, which name the option.
 */
export function resolveOptions(
  options: JobOptions,
  exampleCount: number,
  model: Pick<LocalBaseModel, 'config' | 'tensors'> | null,
): ResolvedTraining {
  if (!model) return resolveTraining({ ...options, exampleCount });
  checkAgainstModel(options.peft, model.config, model.tensors);
  return resolveTraining({ ...options, exampleCount, contextLength: outlineOf(model.config).maxPositions });
}
