import { isDeepStrictEqual } from 'node:util';
import {
  leadingPositions,
  nameTrial,
  type PeftConfig,
  type ResolvedTraining,
  type Sweep,
  type SweepTrial,
  type TrainingOptions,
  trialName,
} from '@graft/peft-core/config';
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
  file: Pick<FileRecord, 'examples' | 'answerCharacters' | 'format'>,
  model: { id: string; local: Pick<LocalBaseModel, 'config' | 'tensors'> | null },
): Promise<ResolvedTraining[]> {
  const { answerCharacters, format } = file;
  const data = { exampleCount: file.examples ?? 0, answerCharacters, format };
  const resolved: ResolvedTraining[] = [];
  for (const [i, { peft, training }] of trials.entries()) {
    try {
      const isChecked = isCovered(i, trials);
      const given = { ...options, peft, training, isChecked, ...(sweep && { trials: trials.length }) };
      const fixed = await resolveOptions(checker, team.id, given, data, model.local);
      checkJobQuota(team.quota, { model: model.id, peft, maxSeqLength: fixed.max_seq_length });
      resolved.push(fixed);
    } catch (error) {
      throw sweep ? nameTrial(error, sweep, `trial ${i + 1} (${trialName(trials[i]!)})`) : error;
    }
  }
  return resolved;
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
