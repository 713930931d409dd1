import {
  GraftError,
  type PeftConfig,
  type ResolvedTraining,
  type SweepTrial,
  type TrainingOptions,
} from '@graft/peft-core/config';
import { ThreadTimeout } from '@graft/peft-core/threads';
import { baseModelFault, isLastingModelFault, type LocalBaseModel } from '@graft/service/base-models';
import type { FileRecord } from '@graft/service/files';
import { dataFilesOf, type JobEstimate, type JobFiles, mixtureOfJob } from '@graft/service/jobs';
import { isDamage, reportCorruption } from '@graft/service/maintenance';
import type { Services } from '@graft/service/services';
import { liveMachines } from '@graft/service/workers';
import type { FileThreads } from '../job-files/file-threads.ts';
import { jobReading, taskTokenizer } from '../job-files/task-tokenizer.ts';
import { validationKey } from '../job-files/validation-key.ts';
import { tryTwice } from '../threads/check-thread.ts';

/** Options that save memory and change results only by rounding, in the order in which they are tried. */
const memoryOptions = ['mini_batch_size', 'gradient_checkpointing'] as const;
export type MemoryOption = (typeof memoryOptions)[number];

/** Everything that an estimate depends on. */
export interface PlannedJob {
  model: LocalBaseModel;
  files: JobFiles;
  method: string;
  peft: PeftConfig;
  training: ResolvedTraining;
  /** Options left to Graft, turned on if the job fits no live worker without them. */
  leaves: readonly MemoryOption[];
  /** Maximum tokens read of an example. */
  lengthRead: number;
  /** True where Graft chooses max_seq_length and has not read all data yet: it is then the length of the longest example seen. */
  leavesLength: boolean;
  /** Trials of a sweep; empty for other jobs. */
  trials: readonly SweepTrial<ResolvedTraining>[];
}

/**
 * Estimates a job on the workers that are live now, and resolves its options: turns on mini-batches and gradient checkpointing if they are
 * left to Graft and the job fits no worker without them. Throws a GraftError for errors in files, options or model, with the messages of
 * validation; `estimate_timeout` after `timeoutMs`; the signal's reason; ThreadDied.
 */
export async function estimateJob(
  services: Services,
  threads: FileThreads,
  planned: PlannedJob,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<{ estimate: JobEstimate; training: ResolvedTraining }> {
  const { model, files, peft, trials, lengthRead, leavesLength } = planned;
  const leavesCheckpointing = planned.leaves.includes('gradient_checkpointing');
  const live = await liveMachines(services);
  const task = {
    ...(await dataFilesOf(files, async (file) => await pathOf(services, file))),
    counts: {
      training_file: files.training.map(({ file }) => file.examples),
      validation_file: files.validation.map(({ file }) => file.examples),
    },
    ...taskTokenizer(model.tokenizer, planned.training),
    modelConfig: model.config,
    method: planned.method,
    peft,
    training: planned.training,
    trials,
    live,
    lengthRead,
    leavesLength,
    leavesCheckpointing,
    sampleKey: sampleKeyOf(planned),
  };
  const estimating = tryTwice(async () => await threads.estimate(task, options));
  const report = await estimating.catch((error: unknown) => {
    if (!(error instanceof ThreadTimeout)) throw error;
    throw new GraftError(
      'estimate_timeout',
      `The estimate took more than ${options.timeoutMs / 1000} s twice: the server is busy, or the tokenizer is slow with lines of these files. Try again later, or create the job without an estimate.`,
      { param: 'training_file', fault: 'system' },
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
  // The operator provides the tokenizer, so its errors are not user errors.
  throw isLastingModelFault(code, param) ? baseModelFault(error, model.id, [model.path]) : error;
}

/** The held-out examples depend on seeds if there is a validation split. */
export function sampleKeyOf(planned: Omit<PlannedJob, 'trials' | 'leaves' | 'leavesLength'>): string {
  const { files, training } = planned;
  const { validation_split: split, seed, validation_seed = null } = training;
  return [
    validationKey(files, { ...jobReading(planned), mixture: mixtureOfJob(files, training) }),
    split,
    ...(split > 0 && files.validation.length === 0 ? [seed, validation_seed] : []),
  ].join();
}

async function pathOf(services: Services, file: FileRecord): Promise<string> {
  return await services.files.pathForNow(file).catch(async (error: unknown) => {
    const { teamId, id } = file;
    if (isDamage(error)) await reportCorruption(services, { kind: 'file', teamId, id }, error);
    throw error;
  });
}

/** Memory-saving options that a request leaves to Graft. */
export const leftToGraft = (training: TrainingOptions): MemoryOption[] =>
  memoryOptions.filter((option) => training[option] === undefined || training[option] === 'auto');
