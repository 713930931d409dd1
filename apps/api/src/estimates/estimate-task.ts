import { checkInitialText } from '@graft/peft-core/check';
import type { ResolvedTraining } from '@graft/peft-core/config';
import { type DataSample, type SampledSource, sampleExamples } from '@graft/peft-core/estimate';
import type { Tokenizer } from '@graft/peft-core/text';
import type { JobEstimate, LiveMachine } from '@graft/service';
import { type FileFault, faultOf, type ValidationTask } from '../job-files/validation-task.ts';
import { estimateOnWorkers } from './estimate-on-workers.ts';

/** A job's files, of which a bounded part is looked at. */
export interface EstimateTask extends Omit<ValidationTask, 'maxSeqLength'>, Pick<SampledSource, 'counts'> {
  training: ResolvedTraining;
  live: LiveMachine[];
  /** Names all that the sizes of the examples depend on. */
  sampleKey: string;
}

export type EstimateReport = { ok: true; estimate: JobEstimate } | FileFault;

export async function estimateFiles(task: EstimateTask, tokenizer: Tokenizer): Promise<EstimateReport> {
  const { modelConfig, peft, training, live, sampleKey } = task;
  try {
    checkInitialText(peft, modelConfig, (text) => tokenizer.encode(text));
    const data = samples.get(sampleKey) ?? (await sampleExamples({ ...task, tokenizer }));
    keep(sampleKey, data);
    return { ok: true, estimate: estimateOnWorkers({ modelConfig, peft, training, data }, live) };
  } catch (error) {
    return faultOf(error, () => (error as Error).message);
  }
}

/** By key, the one that was asked for last at the end: of jobs that are alike, as those of a sweep, one reads and tokenises. */
const samples = new Map<string, DataSample>();
const mostSamples = 16;

function keep(key: string, sample: DataSample): void {
  samples.delete(key);
  samples.set(key, sample);
  const [oldest] = samples.keys();
  if (samples.size > mostSamples) samples.delete(oldest!);
}
