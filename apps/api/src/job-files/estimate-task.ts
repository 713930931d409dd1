import { checkInitialText } from '@graft/peft-core/check';
import { type ResolvedTraining, resolveLength, type SweepTrial, unreadRemark } from '@graft/peft-core/config';
import { longestOf, type SampledSource, sampleExamples } from '@graft/peft-core/estimate';
import type { ReadingOptions } from '@graft/peft-core/examples';
import type { Tokenizer } from '@graft/peft-core/text';
import type { JobEstimate, LiveMachine } from '@graft/service';
import { estimateOnWorkers } from './estimate-on-workers.ts';
import { keepSample, keptSample, type SampleKey } from './kept-samples.ts';
import { type FileFault, faultOf, type ValidationTask } from './validation-task.ts';

/** A job's files, of which a bounded part is read. */
export interface EstimateTask
  extends Omit<ValidationTask, keyof ReadingOptions | 'sample'>,
    SampleKey,
    Pick<SampledSource, 'counts'> {
  /** `method.type` of the job. */
  method: string;
  /** Trials of a sweep; empty for other jobs. */
  trials: readonly SweepTrial<ResolvedTraining>[];
  live: LiveMachine[];
  /** As in PlannedJob, like the next two. */
  lengthRead: number;
  leavesLength: boolean;
  leavesCheckpointing: boolean;
}

export type EstimateReport = { ok: true; estimate: JobEstimate; training: ResolvedTraining } | FileFault;

export async function estimateFiles(task: EstimateTask, tokenizer: Tokenizer): Promise<EstimateReport> {
  const { method, modelConfig, peft, trials, live, lengthRead, leavesLength, leavesCheckpointing } = task;
  try {
    checkInitialText(peft, modelConfig, (text) => tokenizer.encode(text));
    const reading = { ...task.training, max_seq_length: lengthRead };
    const data = keptSample(task) ?? (await sampleExamples({ ...task, training: reading, tokenizer }));
    keepSample(task, data);
    const longest = longestOf(data, peft);
    const settled = (training: ResolvedTraining) =>
      leavesLength ? resolveLength(training, { longest, most: lengthRead, leavesCheckpointing }) : training;
    const training = settled(task.training);
    const job = { method, modelConfig, peft, training, data };
    const jobs =
      trials.length > 0
        ? trials.map((trial) => ({ ...job, ...trial, training: settled(trial.training) }))
        : [job];
    const estimate = estimateOnWorkers(jobs, live);
    const unread = training.columns
      ? null
      : unreadRemark((data.unread ?? []).map(({ values: _, ...each }) => each));
    return { ok: true, estimate: unread ? { ...estimate, unread } : estimate, training };
  } catch (error) {
    return faultOf(error);
  }
}
