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

/** Options of a job, parsed. */
export interface JobOptions {
  peft: PeftConfig;
  training: TrainingOptions;
  /** `method.type` of the job. */
  method: string;
  hyperparameters: Hyperparameters;
  /** What training goes on from: its configuration is one that this base model has. */
  startFrom: object | string | null;
  hasValidationFile: boolean;
  /** Of a trial of a sweep: how many that has. */
  trials?: number;
  /** `peft` has been checked against the base model. */
  isChecked?: boolean;
}

/**
 * Fixes every training value that a job left to Graft, and checks its options against the base model where that is at
 * hand. Throws peft-core's GraftErrors, which name the option, and what the checker throws.
 */
export async function resolveOptions(
  checker: Pick<OptionChecker, 'check'>,
  teamId: string,
  options: JobOptions,
  data: DataSize & LengthLimits,
  model: Pick<LocalBaseModel, 'config' | 'tensors'> | null,
): Promise<ResolvedTraining> {
  const { startFrom, isChecked = false, ...others } = options;
  const given = { ...others, continues: startFrom !== null };
  if (!model) return resolveTraining({ ...given, ...data });
  if (startFrom === null && !isChecked) await checker.check(teamId, options.peft, model);
  const outline = outlineOf(model.config);
  return resolveTraining({ ...given, ...data, contextLength: outline.maxPositions, model: outline });
}
