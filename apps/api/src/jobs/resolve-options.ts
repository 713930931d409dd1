import {
  type DataSize,
  type Hyperparameters,
  type LengthLimits,
  type PeftConfig,
  type ResolvedTraining,
  resolveTraining,
  type TrainingOptions,
} from '@graft/peft-core/config';
import { outlineOf } from '@graft/peft-core/outlines';
import type { LocalBaseModel } from '@graft/service';
import type { OptionChecker } from './option-checker.ts';

/** Parsed options of a job. */
export interface JobOptions {
  peft: PeftConfig;
  training: TrainingOptions;
  /** `method.type` of the job. */
  method: string;
  hyperparameters: Hyperparameters;
  /** What training continues from, or null. Its configuration is known to fit the base model. */
  startFrom: object | string | null;
  /** The own chat template of what training continues from; null: none. */
  startTemplate: string | null;
  /** The prompts of the training that training continues from; null: it starts from the base model. */
  startPrompts: Record<string, string> | null;
  hasValidationFile: boolean;
  /** Number of trials, if the job is a trial of a sweep. */
  trials?: number;
  /** Skips checking `peft` against the base model, since another check covers it. */
  isChecked?: boolean;
}

/**
 * Resolves every training value that a job left to Graft, and checks its options against the base model if that is available. Throws
 * peft-core's GraftErrors, which name the option, and the errors of the checker.
 */
export async function resolveOptions(
  checker: Pick<OptionChecker, 'check'>,
  teamId: string,
  options: JobOptions,
  data: DataSize & LengthLimits,
  model: Pick<LocalBaseModel, 'config' | 'tensors' | 'smallFiles'> | null,
): Promise<ResolvedTraining> {
  const { startFrom, isChecked = false, ...others } = options;
  const given = { ...others, continues: startFrom !== null };
  if (!model) return resolveTraining({ ...given, ...data });
  if (startFrom === null && !isChecked) await checker.check(teamId, options.peft, model);
  const outline = outlineOf(model.config);
  const { prompts: sentencePrompts } = model.smallFiles;
  const known = { contextLength: outline.maxPositions, model: outline, sentencePrompts };
  return resolveTraining({ ...given, ...data, ...known });
}
