import { checkInitialText } from '@graft/peft-core/check';
import type { ResolvedTraining } from '@graft/peft-core/config';
import { type SampledSource, sampleExamples } from '@graft/peft-core/estimate';
import type { Tokenizer } from '@graft/peft-core/text';
import type { JobEstimate, LiveMachine } from '@graft/service';
import { type FileFault, faultOf, type ValidationTask } from '../job-files/validation-task.ts';
import { estimateOnWorkers } from './estimate-on-workers.ts';

/** A job's files, of which a bounded part is looked at. */
export interface EstimateTask extends Omit<ValidationTask, 'maxSeqLength'>, Pick<SampledSource, 'counts'> {
  training: ResolvedTraining;
  live: LiveMachine[];
}

export type EstimateReport = { ok: true; estimate: JobEstimate } | FileFault;

export async function estimateFiles(task: EstimateTask, tokenizer: Tokenizer): Promise<EstimateReport> {
  const { modelConfig, peft, training, live } = task;
  try {
    checkInitialText(peft, modelConfig, (text) => tokenizer.encode(text));
    const data = await sampleExamples({ ...task, tokenizer });
    return { ok: true, estimate: estimateOnWorkers({ modelConfig, peft, training, data }, live) };
  } catch (error) {
    return faultOf(error, () => (error as Error).message);
  }
}
