import { checkInitialText } from '@graft/peft-core/check';
import type { ResolvedTraining, SweepTrial } from '@graft/peft-core/config';
import { type SampledSource, sampleExamples } from '@graft/peft-core/estimate';
import type { ReadingOptions } from '@graft/peft-core/examples';
import type { Tokenizer } from '@graft/peft-core/text';
import type { JobEstimate, LiveMachine } from '@graft/service';
import { type FileFault, faultOf, type ValidationTask } from '../job-files/validation-task.ts';
import { estimateOnWorkers } from './estimate-on-workers.ts';
import { keepSample, keptSample, type SampleKey } from './kept-samples.ts';

/** A job's files, of which a bounded part is looked at. */
export interface EstimateTask
  extends Omit<ValidationTask, keyof ReadingOptions | 'sample'>,
    SampleKey,
    Pick<SampledSource, 'counts'> {
  /** Of a sweep; none of another job. */
  trials: readonly SweepTrial<ResolvedTraining>[];
  live: LiveMachine[];
}

export type EstimateReport = { ok: true; estimate: JobEstimate } | FileFault;

export async function estimateFiles(task: EstimateTask, tokenizer: Tokenizer): Promise<EstimateReport> {
  const { modelConfig, peft, training, trials, live } = task;
  try {
    checkInitialText(peft, modelConfig, (text) => tokenizer.encode(text));
    const data = keptSample(task) ?? (await sampleExamples({ ...task, tokenizer }));
    keepSample(task, data);
    const job = { modelConfig, peft, training, data };
    const jobs = trials.length > 0 ? trials.map((trial) => ({ ...job, ...trial })) : [job];
    return { ok: true, estimate: estimateOnWorkers(jobs, live) };
  } catch (error) {
    return faultOf(error);
  }
}
