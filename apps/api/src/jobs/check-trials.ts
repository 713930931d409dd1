import { isDeepStrictEqual } from 'node:util';
import {
  type DataSize,
  type Hyperparameters,
  type LengthLimits,
  nameTrial,
  type PeftConfig,
  type ResolvedTraining,
  resolveTraining,
  type Sweep,
  type SweepTrial,
  seqLengthLimit,
  type TrainingOptions,
  trialName,
} from '@graft/peft-core/config';
import { formatOf } from '@graft/peft-core/examples';
import { outlineOf } from '@graft/peft-core/outlines';
import type { LocalBaseModel } from '@graft/service/base-models';
import type { FileRecord } from '@graft/service/files';
import { checkJobQuota, type TeamQuota } from '@graft/service/teams';
import type { OptionChecker } from './option-checker.ts';

/** Options shared by all trials of a job. A job that is no sweep has one trial. */
interface Common extends Omit<JobOptions, 'peft' | 'training' | 'trials'> {
  sweep: Sweep | null;
}

/**
 * Resolves every training value of a job's trials for the training file `file`, and checks each trial against base model and quota with
 * `resolveOptions` and `checkJobQuota`. Errors name the trial and the field of the sweep.
 */
export async function checkTrials(
  checker: Pick<OptionChecker, 'check'>,
  team: { id: string; quota: TeamQuota | null },
  trials: readonly SweepTrial[],
  { sweep, ...options }: Common,
  file: TrainedFile,
  model: { id: string; local: Pick<LocalBaseModel, 'config' | 'tensors' | 'smallFiles'> | null },
): Promise<ResolvedTraining[]> {
  const { examples, answerCharacters, format, longestExample = null } = file;
  const data = { exampleCount: examples ?? 0, answerCharacters, format, longestExample };
  const resolved: ResolvedTraining[] = [];
  for (const [i, { peft, training }] of trials.entries()) {
    try {
      const isChecked = isCovered(i, trials);
      const given = { ...options, peft, training, isChecked, ...(sweep && { trials: trials.length }) };
      const limits = lengthLimits(file, training, team.quota, model.local);
      const fixed = await resolveOptions(checker, team.id, given, { ...limits, ...data }, model.local);
      checkJobQuota(team.quota, { model: model.id, peft, maxSeqLength: fixed.max_seq_length });
      resolved.push(fixed);
    } catch (error) {
      throw sweep ? nameTrial(error, sweep, `trial ${i + 1} (${trialName(trials[i]!)})`) : error;
    }
  }
  return resolved;
}

interface TrainedFile extends Pick<FileRecord, 'format' | 'examples' | 'answerCharacters'> {
  /** Longest example in tokens, over all data; undefined: unknown. */
  longestExample?: number;
}

export function lengthLimits(
  { format }: Pick<FileRecord, 'format'>,
  { overlong = 'error' }: TrainingOptions,
  quota: TeamQuota | null,
  model: Pick<LocalBaseModel, 'config'> | null,
): LengthLimits {
  return {
    ...(model && { contextLength: outlineOf(model.config).maxPositions }),
    quotaLength: quota?.maxSeqLength ?? null,
    splitsTexts: overlong === 'error' && Boolean(format && formatOf(format).splitsTexts),
  };
}

/** Maximum tokens of a job's examples: the requested length, or the maximum of base model and quota. */
export function lengthRead({ max_seq_length }: TrainingOptions, limits: LengthLimits): number {
  return max_seq_length ?? seqLengthLimit(limits);
}

/** Checks whether another trial's check covers this one: a check may take seconds, so of trials that differ only in rank one is checked. */
function isCovered(index: number, trials: readonly SweepTrial[]): boolean {
  const [own, others] = apart(trials[index]!);
  return trials.some((trial, i) => {
    const [rank, rest] = apart(trial);
    const isFirst = rank === own && i < index;
    return i !== index && (rank > own || isFirst) && isDeepStrictEqual(rest, others);
  });
}

/** Splits the configuration of a trial into its rank and the rest. */
function apart({ peft }: SweepTrial): [rank: number, rest: object] {
  const { r = 0, ...rest } = peft as { r?: number };
  return [r, rest];
}

/** Throws the error of `checkJobQuota` for the first trial beyond the quota. Called before anything is fetched. */
export function checkTrialQuota(
  quota: TeamQuota | null,
  model: string,
  {
    sweep,
    trials,
    training,
  }: { sweep: Sweep | null; trials: readonly SweepTrial[]; training: TrainingOptions },
): void {
  for (const [i, { peft }] of trials.entries()) {
    try {
      checkJobQuota(quota, { model, peft, maxSeqLength: training.max_seq_length ?? null });
    } catch (error) {
      throw sweep ? nameTrial(error, sweep, `trial ${i + 1} (${trialName(trials[i]!)})`) : error;
    }
  }
}

interface JobOptions {
  peft: PeftConfig;
  training: TrainingOptions;
  method: string;
  hyperparameters: Hyperparameters;
  /** Source that training continues from, or null. Its configuration is known to fit the base model. */
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
async function resolveOptions(
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
  const { prompts: sentencePrompts, chatTemplate: baseTemplate } = model.smallFiles;
  const known = { contextLength: outline.maxPositions, model: outline, sentencePrompts, baseTemplate };
  return resolveTraining({ ...given, ...data, ...known });
}
