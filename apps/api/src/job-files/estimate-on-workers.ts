import type { ResolvedTraining } from '@graft/peft-core/config';
import {
  type EstimatedJob,
  estimateSweep,
  estimateTraining,
  fittingChanges,
  type Machine,
  type TrainingEstimate,
} from '@graft/peft-core/estimate';
import { isGraftKernels } from '@graft/peft-core/precision';
import type { JobEstimate, LiveMachine } from '@graft/service';

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
export function estimateOnWorkers(jobs: readonly EstimatedJob[], live: readonly LiveMachine[]): JobEstimate {
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
