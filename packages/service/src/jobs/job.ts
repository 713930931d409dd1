/**
 * Vocabulary
 * - job: a request to train one adapter. Its row in Postgres is the source of truth; the queue only notifies workers.
 * - lease: the right to work on a job, `{id, epoch, token}`. Every dispatch raises the *lease epoch*, and every claim
 *   draws a random *lease token*. A write with another epoch or token changes nothing; its writer is *fenced*: it must
 *   stop and write nothing more. The epoch orders leases. The token distinguishes two leases of one epoch, which exist when
 *   a Postgres failover loses a claim and the job is claimed again.
 * - attempt: one claim of the job by a worker, for validation or training.
 * - requirements: the properties of the machine that the first claim fixes, so that each attempt computes the same numbers.
 * - sweep: a job that tries several configurations, its *trials*, and publishes the best one.
 * - progress, metrics, checkpoint: written by the worker that holds the lease.
 */

import type {
  Comparison,
  Duplicates,
  ErrorDetail,
  FileShare,
  Hyperparameters,
  Overlap,
  PeftConfig,
  ResolvedTraining,
  Sweep,
  TrainingOptions,
} from '@graft/peft-core/config';
import type { FittingChange, Machine, TrainingEstimate } from '@graft/peft-core/estimate';
import type { ExampleCounts, SkippedLines, UnreadColumnOf } from '@graft/peft-core/examples';
import type { JobIntegrationRequest } from '@graft/wire/integration';
import type { JobStatus, Priority } from '@graft/wire/lists';
import type { Job as JobRow } from '../generated/client.ts';
import type { Dispatch } from '../queue/job-queue.ts';

export const jobStates = [
  'validating',
  'queued',
  'dispatched',
  'running',
  'paused',
  'succeeded',
  'failed',
  'cancelled',
] as const;
export type JobState = (typeof jobStates)[number];

export function isTerminal(state: JobState): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled';
}

export function wireStatus(state: JobState): JobStatus {
  if (state === 'validating') return 'validating_files';
  if (state === 'dispatched') return 'queued';
  return state;
}

export function priorityOf(job: Pick<Job, 'priority'>): Priority {
  return job.priority < 0 ? 'low' : job.priority > 0 ? 'high' : 'normal';
}

export interface Lease extends Dispatch {
  /** The lease token. Null: a process of an earlier version claimed the job. */
  token: string | null;
}

export interface JobError {
  code: string;
  message: string;
  param: string | null;
  /** `user`: never retried. `system`: retried a few times, as the job may be the cause. `environment`: the worker is the cause. */
  fault: 'user' | 'system' | 'environment';
  /** Errors in lines of a file, one entry per kind of error. */
  details?: ErrorDetail[];
}

export interface JobProgress {
  step: number;
  totalSteps: number;
  /** Training epoch, fractional. */
  epoch: number;
  tokens: number;
  tokensPerSecond: number;
  secondsRemaining: number | null;
  loss?: number;
  /** The GPU that the job runs on, read a few seconds ago. Absent on a CPU, and in progress written by versions that did not read it. */
  gpu?: GpuReading;
}

/** Values that a worker reads of a GPU; null where the GPU does not report the value. */
export interface GpuReading {
  model: string;
  /** Memory used by all processes on the GPU. */
  usedBytes: number | null;
  totalBytes: number | null;
  /** 0 to 1. */
  utilization: number | null;
  /** In degrees Celsius. */
  temperature: number | null;
}

/** The sweep as requested. */
export interface JobSweep {
  grid: Sweep;
  /** `peft` of the request; null if the request had none. */
  peft: unknown;
  /** How trials are compared. Absent: `early`, by a version that knew no other way. */
  comparison?: Comparison;
}

/** Estimate of a job's cost before it runs, for the worker that suits it best. */
export interface JobEstimate extends TrainingEstimate {
  /** True where the job fits the memory limit of one trainer on a live worker; null if no worker reports its limit. */
  fits: boolean | null;
  /** The machine that the numbers apply to. */
  machine: Pick<Machine, 'device' | 'precision'>;
  /** Largest memory limit of a trainer among the live workers that could run the job; null if none reports it. */
  memoryBytes: number | null;
  /** Number of these workers. */
  workers: number;
  /** Warning about columns of the files that are not read; absent without any. */
  unread?: string;
  /** Changes of options with which the job would fit, if it does not. */
  changes: FittingChange[];
}

/** How the training of a succeeded job ended; of a sweep, its winner's training. */
export interface TrainingEnd {
  step: number;
  totalSteps: number;
  reason: 'completed' | 'early_stopping';
  /** Step of the published adapter: the last one, or with `load_best_model_at_end` the step of the best evaluation. */
  publishedStep: number;
  /** Null without validation data. */
  best: { step: number; metric: string; value: number } | null;
  evaluationsWithoutGain: number;
}

export interface ValidationProgress {
  /** Bytes read so far, of all files. */
  bytes: number;
  totalBytes: number;
  examples: number;
}

/** Properties that every worker that continues the job must have. */
export interface JobRequirements {
  precision: 'fp32' | 'bf16';
  threads: number;
  device: 'cpu' | 'gpu';
  /** An instruction set of the kernels, `xla`, or `stock`. Absent in jobs of versions without kernels: stock. */
  kernels?: string;
  /** GPU model as named by nvidia-smi. Absent on a CPU, and in jobs of versions that accepted any GPU. */
  gpu?: string;
  /** Maximum number of examples per pass, set when more did not fit into memory: `batch_size` is split into several passes. */
  microBatch?: number;
}

export type AttemptKind = 'training' | 'validation';
export type AttemptOutcome =
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'paused'
  | 'released'
  | 'lost'
  | 'environment';

/** One lease epoch in which a job was validated or trained. */
export interface JobAttempt {
  leaseEpoch: number;
  kind: AttemptKind;
  workerId: string;
  startedAt: Date;
  /** Null while the attempt runs. For a lost attempt, its last sign of life. */
  endedAt: Date | null;
  /** Step of the checkpoint that the attempt could resume from; 0 if there was none. Null for a validation. */
  fromStep: number | null;
  /** Last step that the attempt reported; null while it runs, and for a validation. */
  lastStep: number | null;
  outcome: AttemptOutcome | null;
  reason: string | null;
}

/** A training file of several, and its share of each epoch: see `FileShare` of peft-core. */
export interface JobTrainingFile extends FileShare {
  /** Id of the file. */
  file: string;
}

/** A validation file of several. */
export interface JobValidationFile {
  file: string;
  /** Its name in the names of its metrics, `eval_<name>_loss`. */
  name: string;
}

export interface Job {
  id: string;
  teamId: string;
  keyId: string | null;
  personId: string | null;
  state: JobState;
  /** Catalogue id of the base model. */
  model: string;
  suffix: string | null;
  seed: number;
  trainingFileId: string;
  /** All training files, of which the first is `trainingFileId`, and their shares; null: only that one. */
  trainingFiles: JobTrainingFile[] | null;
  /** The system message that all examples of the training file share; null if they differ, have none, or it is not known. */
  systemPrompt: string | null;
  validationFileId: string | null;
  /** All validation files, of which the first is `validationFileId`, with their names; null: only that one, if any. */
  validationFiles: JobValidationFile[] | null;
  method: string;
  hyperparameters: Hyperparameters;
  /** Configuration of a sweep's first trial; the winner's once the job ends. */
  peft: PeftConfig;
  /** Training options as requested. */
  training: TrainingOptions;
  /** Training options with every number fixed; null until the data are validated. */
  resolvedTraining: ResolvedTraining | null;
  /** Null if the job trains one configuration. `listTrials` returns the trials. */
  sweep: JobSweep | null;
  metadata: Record<string, string> | null;
  /** Order among the jobs of its team: -1 low, 0 normal, 1 high. */
  priority: number;
  /** The adapter version to continue training from, which is kept until the job ends; null: freshly initialised weights. */
  startFromId: string | null;
  /** Model name of that version, `ft:…`. */
  startFromModel: string | null;
  /** Trackers that receive its metrics, as requested. */
  integrations: JobIntegrationRequest[];
  progress: JobProgress | null;
  error: JobError | null;
  /** Set with the state succeeded. */
  fineTunedModel: string | null;
  /** Set when the job ends, in any state; counts each step once. Null if no tokens were trained. */
  trainedTokens: number | null;
  /** Maximum number of tokens that the job trains on; null until the data are validated. */
  plannedTokens: number | null;
  /** Null until the data are validated, and for jobs of earlier versions. */
  dataCounts: DataCounts | null;
  /** Null until the data are validated, for jobs of earlier versions, and if the estimate failed. */
  estimate: JobEstimate | null;
  /** Set with the state succeeded; null for a job that an earlier version trained. */
  trainingEnd: TrainingEnd | null;
  /** W3C `traceparent` of the request that created the job. */
  traceContext: string | null;
  leaseEpoch: number;
  leaseToken: string | null;
  leaseUntil: Date | null;
  workerId: string | null;
  attempts: number;
  attemptsSinceCheckpoint: number;
  lastCheckpointStep: number | null;
  /** Validation attempts, including the current one, since an attempt last got further than all earlier ones. */
  validationAttempts: number;
  validationProgress: ValidationProgress | null;
  /** Null until the first claim. */
  requirements: JobRequirements | null;
  /** Number of releases by workers that could not run the job, since the last new checkpoint. */
  environmentFaults: number;
  /** A worker that could not run the job: any other capable worker is preferred. */
  avoidWorker: string | null;
  runAfter: Date;
  cancelRequestedAt: Date | null;
  pauseRequestedAt: Date | null;
  /** When its worker was asked to release the job at a checkpoint, for another team. */
  preemptRequestedAt: Date | null;
  createdAt: Date;
  dispatchedAt: Date | null;
  startedAt: Date | null;
  finishedAt: Date | null;
}

/** `ft:{base}:{team}:{suffix}:{id}`: the model name of a job that succeeds. */
export function fineTunedModelName(job: Pick<Job, 'id' | 'model' | 'suffix'>, teamName: string): string {
  return `ft:${job.model}:${teamName}:${job.suffix ?? ''}:${job.id.slice(-8)}`;
}

export interface DataCounts {
  training: ExampleCounts;
  /** Null without a validation file. */
  validation: ExampleCounts | null;
  /** Null without a validation file; absent in jobs that an earlier version validated. */
  overlap?: Overlap | null;
  /** One entry per file of `training_files`, in order; undefined in other jobs. */
  trainingFiles?: ExampleCounts[];
  /** One entry per file of `validation_files`, in order. */
  validationFiles?: (ExampleCounts & { overlap: Overlap | null })[];
  /** Training examples that occur again, of a job with `training_files`. */
  duplicates?: Duplicates;
  /** The bad lines that were skipped, by file and fault; absent without any. */
  badLines?: SkippedLines[];
  /** Columns of the files that were not read, at most twenty of each; absent without any. */
  unreadColumns?: UnreadColumnOf[];
  /** Tokens of the longest example, including a soft prompt before it; absent in jobs that an earlier version validated. */
  longest?: number;
}

export function leaseOf(job: Pick<Job, 'id' | 'leaseEpoch' | 'leaseToken'>): Lease {
  return { id: job.id, epoch: job.leaseEpoch, token: job.leaseToken };
}

/** Converts a row of `jobs` as Prisma reads it to the types that its writers ensure. */
export function jobOf(row: JobRow): Job {
  const { requestHash: _, dataFileIds: __, trainedTokens, plannedTokens, ...columns } = row;
  return {
    ...(columns as Omit<Job, 'trainedTokens' | 'plannedTokens'>),
    // Prisma reads int8 as bigint; token counts stay far below 2^53.
    trainedTokens: trainedTokens === null ? null : Number(trainedTokens),
    plannedTokens: plannedTokens === null ? null : Number(plannedTokens),
  };
}
