import { checkInitialText } from '@graft/peft-core/check';
import { type ResolvedTraining, resolveLength, type SweepTrial, unreadRemark } from '@graft/peft-core/config';
import {
  type EstimatedJob,
  estimateSweep,
  estimateTraining,
  fittingChanges,
  longestOf,
  type Machine,
  type SampledSource,
  sampleExamples,
  type TrainingEstimate,
} from '@graft/peft-core/estimate';
import type { ReadingOptions } from '@graft/peft-core/examples';
import { isGraftKernels } from '@graft/peft-core/precision';
import type { Tokenizer } from '@graft/peft-core/text';
import type { JobEstimate } from '@graft/service/jobs';
import type { LiveMachine } from '@graft/service/workers';
import { keepSample, keptSample, type SampleKey } from './kept-samples.ts';
import { type FileFault, faultOf, type ValidationTask } from './validation-task.ts';

/** A job's files, of which a bounded part is read. */
export interface EstimateTask
  extends Omit<ValidationTask, keyof ReadingOptions | 'sample'>,
    SampleKey,
    Pick<SampledSource, 'counts'> {
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

/** A kind of live worker that could run the job. */
interface Candidate extends Machine {
  /** Memory available to one trainer; null: unknown. */
  memoryBytes: number | null;
  workers: number;
}

/** Assumed if no worker reports anything else. */
const unknownMachine = { device: 'cpu', threads: 1, kernels: false, flops: null, memoryBytes: null } as const;

/**
 * Estimates a job, or a sweep of such trials, on the best live worker: the fastest with enough memory, else one that does not report its
 * memory, else the one with the most memory. Without a suitable live worker: on a CPU of unknown speed.
 */
function estimateOnWorkers(jobs: readonly EstimatedJob[], live: readonly LiveMachine[]): JobEstimate {
  const [first] = jobs as [EstimatedJob];
  const { precision } = first.training;
  const able = live.flatMap((machine) => candidateOf(precision, machine));
  const nobody = { ...unknownMachine, precision: precision === 'auto' ? 'fp32' : precision, workers: 0 };
  const estimated = (able.length > 0 ? able : [nobody]).map((machine) => ({
    machine,
    estimate: jobs.length > 1 ? estimateSweep(jobs, machine) : estimateTraining(first, machine),
  }));
  const fitting = estimated.filter(
    ({ machine, estimate }) =>
      machine.memoryBytes !== null && estimate.peakMemoryBytes <= machine.memoryBytes,
  );
  const silent = estimated.filter(({ machine }) => machine.memoryBytes === null);
  const fits = fitting.length > 0 ? true : silent.length > 0 ? null : false;
  const { machine, estimate } =
    fits === false ? estimated.reduce(roomier) : (fits ? fitting : silent).reduce(faster);
  const memories = able.map(({ memoryBytes }) => memoryBytes).filter((bytes) => bytes !== null);
  return {
    ...estimate,
    fits,
    machine: { device: machine.device, precision: machine.precision },
    memoryBytes: memories.length > 0 ? Math.max(...memories) : null,
    workers: able.reduce((sum, { workers }) => sum + workers, 0),
    changes: fits === false ? fittingChanges(largest(jobs, machine), machine, machine.memoryBytes ?? 0) : [],
  };
}

/** Empty if these workers cannot compute in the requested precision. "auto" is each worker's first precision. */
function candidateOf(
  wanted: ResolvedTraining['precision'],
  { capabilities, workers }: LiveMachine,
): Candidate[] {
  if (!capabilities) return [{ ...unknownMachine, precision: wanted === 'auto' ? 'fp32' : wanted, workers }];
  const { device, threads, precisions, flops = {}, kernels: [set = 'stock'] = [] } = capabilities;
  const memoryBytes = capabilities.memoryBytes ?? null;
  const precision = wanted === 'auto' ? precisions[0] : wanted;
  if (!precisions.includes(precision)) return [];
  const kernels = isGraftKernels(set);
  return [{ device, threads, kernels, precision, memoryBytes, flops: flops[precision] ?? null, workers }];
}

/** The trial that needs the most memory. */
function largest(jobs: readonly EstimatedJob[], machine: Machine): EstimatedJob {
  const peak = (job: EstimatedJob) => estimateTraining(job, machine).peakMemoryBytes;
  return jobs.reduce((most, job) => (peak(job) > peak(most) ? job : most));
}

interface Estimated {
  machine: Candidate;
  estimate: TrainingEstimate;
}

const faster = (a: Estimated, b: Estimated): Estimated =>
  (b.estimate.seconds ?? Number.POSITIVE_INFINITY) < (a.estimate.seconds ?? Number.POSITIVE_INFINITY) ? b : a;

const roomier = (a: Estimated, b: Estimated): Estimated =>
  (b.machine.memoryBytes ?? 0) > (a.machine.memoryBytes ?? 0) ? b : a;
