import { isDeepStrictEqual } from 'node:util';
import {
  type LengthLimits,
  leadingPositions,
  mostSeqLength,
  nameTrial,
  type PeftConfig,
  type ResolvedTraining,
  type Sweep,
  type SweepTrial,
  type TrainingOptions,
  trialName,
} from '@graft/peft-core/config';
import { formatOf } from '@graft/peft-core/examples';
import { outlineOf } from '@graft/peft-core/outlines';
import { checkJobQuota, type FileRecord, type LocalBaseModel, type TeamQuota } from '@graft/service';
import type { OptionChecker } from './option-checker.ts';
import { type JobOptions, resolveOptions } from './resolve-options.ts';

/** Of a job what its trials have in common: it is a sweep, or has one. */
interface Common extends Omit<JobOptions, 'peft' | 'training' | 'trials'> {
  sweep: Sweep | null;
}

/**
 * Fixes every training value of a job's trials, and checks each against base model and quota, as `resolveOptions` and `checkJobQuota`
 * do, for the training file `file`. A fault names the trial and the field of the sweep.
 */
export async function checkTrials(
  checker: Pick<OptionChecker, 'check'>,
  team: { id: string; quota: TeamQuota | null },
  trials: readonly SweepTrial[],
  { sweep, ...options }: Common,
  file: TrainedFile,
  model: { id: string; local: Pick<LocalBaseModel, 'config' | 'tensors'> | null },
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

/** What is known of the training file. */
interface TrainedFile extends Pick<FileRecord, 'format' | 'examples' | 'answerCharacters'> {
  /** Of all data; left out: not known. */
  longestExample?: number;
}

/** What limits the length of a job's examples. */
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

/** The longest example that a job takes: what it asks for, or all that its base model and the team's quota allow. */
export function lengthRead({ max_seq_length }: TrainingOptions, limits: LengthLimits): number {
  return max_seq_length ?? mostSeqLength(limits);
}

/** A check may take seconds, so of those that differ in their rank alone the largest is checked for all, once. */
function isCovered(index: number, trials: readonly SweepTrial[]): boolean {
  const [own, others] = apart(trials[index]!);
  return trials.some((trial, i) => {
    const [rank, rest] = apart(trial);
    const isFirst = rank === own && i < index;
    return i !== index && (rank > own || isFirst) && isDeepStrictEqual(rest, others);
  });
}

/** The rank of a trial, and the rest of its configuration. */
function apart({ peft }: SweepTrial): [rank: number, rest: object] {
  const { r = 0, ...rest } = peft as { r?: number };
  return [r, rest];
}

/** Throws what `checkJobQuota` throws of the first trial that the team may not have; before anything is fetched for it. */
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

/** The configuration that leaves the fewest positions to text: what fits beside it fits beside all. */
export function longestLead(trials: readonly Pick<SweepTrial, 'peft'>[]): PeftConfig {
  const lead = ({ peft }: Pick<SweepTrial, 'peft'>) => {
    const { virtualTokens, prefixLength } = leadingPositions(peft);
    return virtualTokens + prefixLength;
  };
  return trials.reduce((most, each) => (lead(each) > lead(most) ? each : most)).peft;
}
