import {
  GraftError,
  type PeftConfig,
  type ResolvedTraining,
  type SweepTrial,
  type TrainingOptions,
} from '@graft/peft-core/config';
import { readingOptions } from '@graft/peft-core/examples';
import { ThreadTimeout } from '@graft/peft-core/threads';
import {
  baseModelFault,
  type FileRecord,
  isDamage,
  isLastingModelFault,
  type JobEstimate,
  type LocalBaseModel,
  liveMachines,
  reportCorruption,
  type Services,
} from '@graft/service';
import type { FileThreads } from '../job-files/file-threads.ts';
import { validationKey } from '../job-files/validation-key.ts';

/** Options that save memory and change no result but by rounding, in the order in which they are tried. */
const memoryOptions = ['mini_batch_size', 'gradient_checkpointing'] as const;
export type MemoryOption = (typeof memoryOptions)[number];

/** All that decides what a job comes to. */
export interface PlannedJob {
  model: LocalBaseModel;
  trainingFile: FileRecord;
  validationFile: FileRecord | null;
  /** `method.type` of the job. */
  method: string;
  peft: PeftConfig;
  training: ResolvedTraining;
  /** Options that are left to Graft, and turned on where a job fits no live worker without. */
  leaves: readonly MemoryOption[];
  /** The longest example that is read, in tokens. */
  lengthRead: number;
  /** Whether max_seq_length is left to Graft, and the data were not read whole yet: it is that of the longest example seen. */
  leavesLength: boolean;
  /** Of a sweep; none of another job. */
  trials: readonly SweepTrial<ResolvedTraining>[];
}

/**
 * What a job comes to on the workers that live now, and its options: with mini-batches and gradient checkpointing where they are left
 * to Graft, and the job fits none of them without. Throws GraftError for what is wrong with files, options or model, as
 * validation tells it, `estimate_timeout` after `timeoutMs`; the signal's reason, ThreadDied.
 */
export async function estimateJob(
  services: Services,
  threads: FileThreads,
  planned: PlannedJob,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<{ estimate: JobEstimate; training: ResolvedTraining }> {
  const { model, trainingFile, validationFile, peft, trials, lengthRead, leavesLength } = planned;
  const leavesCheckpointing = planned.leaves.includes('gradient_checkpointing');
  const live = await liveMachines(services);
  const task = {
    trainingFile: await pathOf(services, trainingFile),
    validationFile: validationFile && (await pathOf(services, validationFile)),
    counts: { training_file: trainingFile.examples, validation_file: validationFile?.examples ?? null },
    tokenizerKey: model.tokenizer.key,
    tokenizerFiles: model.tokenizer.json,
    modelConfig: model.config,
    ...{ method: planned.method, peft, training: planned.training, trials, live },
    ...{ lengthRead, leavesLength, leavesCheckpointing },
    sampleKey: sampleKeyOf(planned),
  };
  const report = await threads.estimate(task, options).catch((error: unknown) => {
    if (!(error instanceof ThreadTimeout)) throw error;
    throw new GraftError(
      'estimate_timeout',
      `The estimate took more than ${options.timeoutMs / 1000} s, the limit: the tokenizer is slow with lines of these files.`,
      { param: 'training_file' },
    );
  });
  if (report.ok) {
    const { estimate, training } = report;
    const helpful = memoryOptions.flatMap((option) => {
      const change = estimate.changes.find(({ training }) => training[option]);
      return change && planned.leaves.includes(option) ? [{ option, value: change.training[option] }] : [];
    });
    const [help] = helpful;
    if (estimate.fits !== false || !help) return { estimate, training };
    const smaller = <T extends { training: ResolvedTraining }>(job: T): T => ({
      ...job,
      training: { ...job.training, [help.option]: help.value },
    });
    const leaves = planned.leaves.filter((option) => option !== help.option);
    const fitting = { ...smaller(planned), trials: trials.map(smaller), leaves };
    return await estimateJob(services, threads, fitting, options);
  }
  const { code, message, param, fault } = report;
  const error = new GraftError(code, message, { param, fault });
  // The tokenizer is the operator's, so its faults are not the user's.
  throw isLastingModelFault(code) ? baseModelFault(error, model.id, [model.path]) : error;
}

/** What is held out depends on seeds, where something is. */
export function sampleKeyOf({
  model,
  trainingFile,
  validationFile,
  method,
  peft,
  training,
  lengthRead,
}: Omit<PlannedJob, 'trials' | 'leaves' | 'leavesLength'>): string {
  const { validation_split: split, seed, validation_seed = null } = training;
  const what = {
    tokenizerKey: model.tokenizer.key,
    modelConfig: model.config,
    peft,
    ...readingOptions(training),
    maxSeqLength: lengthRead,
  };
  const files = { training: trainingFile, validation: validationFile };
  return [
    validationKey(files, { ...what, method }),
    split,
    ...(split > 0 && !validationFile ? [seed, validation_seed] : []),
  ].join();
}

async function pathOf(services: Services, file: FileRecord): Promise<string> {
  return await services.files.pathForNow(file).catch(async (error: unknown) => {
    const { teamId, id } = file;
    if (isDamage(error)) await reportCorruption(services, { kind: 'file', teamId, id }, error);
    throw error;
  });
}

/** Options that a request leaves to Graft, of those that save memory. */
export const leftToGraft = (training: TrainingOptions): MemoryOption[] =>
  memoryOptions.filter((option) => training[option] === undefined || training[option] === 'auto');
