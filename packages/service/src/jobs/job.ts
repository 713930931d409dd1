/**
 * Vocabulary
 * - job: a request to train one adapter. Its row in Postgres is the truth; the queue only rings a bell.
 * - lease: the right to work on a job, `{id, epoch, token}`. Every dispatch raises the *lease epoch*, and every claim
 *   draws a random *lease token*; a write that carries another epoch or token changes nothing. Such a writer is *fenced*: it
 *   stops and writes nothing more. The epoch orders leases. The token distinguishes two of one epoch, which exist when a
 *   failover of Postgres loses a claim and the job is claimed again.
 * - attempt: one claim of the job by a worker, for validation or training.
 * - requirements: what the first claim fixed of the machine, so that each attempt computes the same numbers.
 * - sweep: a job that tries several configurations, its *trials*, and publishes the best of them.
 * - progress, metrics, checkpoint: what a worker reports while it holds the lease.
 */

import type {
  Comparison,
  ErrorDetail,
  Hyperparameters,
  Overlap,
  PeftConfig,
  ResolvedTraining,
  Sweep,
  TrainingOptions,
} from '@graft/peft-core/config';
import type { FittingChange, Machine, TrainingEstimate } from '@graft/peft-core/estimate';
import type { ExampleCounts } from '@graft/peft-core/examples';
import type { Job as JobRow } from '../generated/client.ts';
import type { Dispatch } from '../queue/job-queue.ts';
import type { JobIntegrationRequest } from './job-integration.ts';

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

/** The job statuses of OpenAI's wire format. */
export type WireStatus =
  | 'validating_files'
  | 'queued'
  | 'running'
  | 'paused'
  | 'succeeded'
  | 'failed'
  | 'cancelled';

export function wireStatus(state: JobState): WireStatus {
  if (state === 'validating') return 'validating_files';
  if (state === 'dispatched') return 'queued';
  return state;
}

/** How a job's priority is told. */
export const priorities = { low: -1, normal: 0, high: 1 } as const;
export type Priority = keyof typeof priorities;

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
  /** A user fault is never retried; one of the system may be this job's doing; one of the environment is a worker's. */
  fault: 'user' | 'system' | 'environment';
  /** What is wrong with lines of a file, each fault once. */
  details?: ErrorDetail[];
}

export interface JobProgress {
  step: number;
  totalSteps: number;
  /** Training epoch, fractional. */
  epoch: number;
  /** Trained so far. */
  tokens: number;
  tokensPerSecond: number;
  secondsRemaining: number | null;
  loss?: number;
  /** The card that it is computed on, as read a few seconds ago. Absent: a processor, or of a version before it was read. */
  gpu?: GpuReading;
}

/** What a worker reads of a card; null: the card does not tell. */
export interface GpuReading {
  model: string;
  /** Of all processes on it. */
  usedBytes: number | null;
  totalBytes: number | null;
  /** 0 to 1. */
  utilization: number | null;
  /** In degrees Celsius. */
  temperature: number | null;
}

/** What a sweep was asked for. */
export interface JobSweep {
  grid: Sweep;
  /** `peft` of the request; null: it had none. */
  peft: unknown;
  /** How its trials are compared. Absent: early, of a version before the other. */
  comparison?: Comparison;
}

/** What a job comes to, told before it runs: on the worker that would start it best. */
export interface JobEstimate extends TrainingEstimate {
  /** Whether one trainer of a live worker may hold as much; null: of none is that known. */
  fits: boolean | null;
  /** What the numbers are for. */
  machine: Pick<Machine, 'device' | 'precision'>;
  /** Of the live workers that could take the job, the most that a trainer may hold; null: none tells. */
  memoryBytes: number | null;
  /** How many these workers are. */
  workers: number;
  /** With which options it would fit, if it does not. */
  changes: FittingChange[];
}

/** How the training of a job ended that succeeded: of a sweep, its winner's. */
export interface TrainingEnd {
  /** The last optimizer step. */
  step: number;
  /** Those that were planned. */
  totalSteps: number;
  reason: 'completed' | 'early_stopping';
  /** Whose adapter is published: the last step, or with `load_best_model_at_end` the best evaluation's. */
  publishedStep: number;
  /** Null without validation data. */
  best: { step: number; metric: string; value: number } | null;
  /** The last so many evaluations were no gain. */
  evaluationsWithoutGain: number;
}

/** Of a validation under way. */
export interface ValidationProgress {
  /** Read so far, of all files. */
  bytes: number;
  totalBytes: number;
  /** Examples checked so far. */
  examples: number;
}

/** What a job needs of every worker that goes on with it. */
export interface JobRequirements {
  precision: 'fp32' | 'bf16';
  threads: number;
  device: 'cpu' | 'gpu';
  /** An instruction set of the kernels, `xla`, or `stock`. Absent: of a version without them, stock. */
  kernels?: string;
  /** The model of GPU, as nvidia-smi names it. Absent: on a processor, or of a version that took any. */
  gpu?: string;
  /** Examples that are computed at once at most, since more did not fit: `batch_size` is computed in so many more passes. */
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
  /** Null: under way. Of a lost one, its last sign of life. */
  endedAt: Date | null;
  /** The checkpoint it could go on from; 0: none. Null for a validation. */
  fromStep: number | null;
  /** The last step it reported; null while under way, and for a validation. */
  lastStep: number | null;
  outcome: AttemptOutcome | null;
  reason: string | null;
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
  /** The system message that every example of the training file begins with; null: they differ, have none, or it is not known. */
  systemPrompt: string | null;
  validationFileId: string | null;
  method: string;
  hyperparameters: Hyperparameters;
  /** Of a sweep: its first trial's, and from its end on the winner's. */
  peft: PeftConfig;
  /** As requested. */
  training: TrainingOptions;
  /** Every number fixed; null until the data were validated. */
  resolvedTraining: ResolvedTraining | null;
  /** Null: it trains one configuration. Its trials are `listTrials`. */
  sweep: JobSweep | null;
  metadata: Record<string, string> | null;
  /** Among the jobs of its team: -1 low, 0 normal, 1 high. */
  priority: number;
  /** The adapter version that training goes on from, which stays until the job is over; null: fresh values. */
  startFromId: string | null;
  /** Its own name, `ft:…`. */
  startFromModel: string | null;
  /** Where its metrics are sent, as requested. */
  integrations: JobIntegrationRequest[];
  progress: JobProgress | null;
  error: JobError | null;
  /** Set with the state succeeded. */
  fineTunedModel: string | null;
  /** Set when it ends, however it does: each step once. Null: none was trained. */
  trainedTokens: number | null;
  /** What it will train, at most; null until the data were validated. */
  plannedTokens: number | null;
  /** Null until the data were validated, and of jobs of earlier versions. */
  dataCounts: DataCounts | null;
  /** Null until the data were validated, of jobs of earlier versions, and where it could not be made. */
  estimate: JobEstimate | null;
  /** Set with the state succeeded; null of one that an earlier version trained. */
  trainingEnd: TrainingEnd | null;
  /** W3C's `traceparent` of the request that created it. */
  traceContext: string | null;
  leaseEpoch: number;
  leaseToken: string | null;
  leaseUntil: Date | null;
  workerId: string | null;
  attempts: number;
  attemptsSinceCheckpoint: number;
  lastCheckpointStep: number | null;
  /** The one under way included, since one got further than every other before it. */
  validationAttempts: number;
  validationProgress: ValidationProgress | null;
  /** Null until the first claim. */
  requirements: JobRequirements | null;
  /** Attempts that a worker could not run, since one made a new checkpoint. */
  environmentFaults: number;
  /** The worker that could not run it: any other that can comes first. */
  avoidWorker: string | null;
  runAfter: Date;
  cancelRequestedAt: Date | null;
  pauseRequestedAt: Date | null;
  /** Since then its worker is to let it go at a checkpoint, for another team. */
  preemptRequestedAt: Date | null;
  createdAt: Date;
  dispatchedAt: Date | null;
  startedAt: Date | null;
  finishedAt: Date | null;
}

/** `ft:{base}:{team}:{suffix}:{id}`: the name a job's model has once it succeeds. */
export function fineTunedModelName(job: Pick<Job, 'id' | 'model' | 'suffix'>, teamName: string): string {
  return `ft:${job.model}:${teamName}:${job.suffix ?? ''}:${job.id.slice(-8)}`;
}

/** What became of the lines of a job's files. */
export interface DataCounts {
  training: ExampleCounts;
  /** Null: there is no validation file. */
  validation: ExampleCounts | null;
  /** Null without a validation file; absent of jobs that an earlier version validated. */
  overlap?: Overlap | null;
  /** Tokens of the longest example, and of a soft prompt before it; absent of jobs that an earlier version validated. */
  longest?: number;
}

/** The job's lease as its row has it now. */
export function leaseOf(job: Pick<Job, 'id' | 'leaseEpoch' | 'leaseToken'>): Lease {
  return { id: job.id, epoch: job.leaseEpoch, token: job.leaseToken };
}

/** A row of `jobs` as Prisma reads it, in the types that its writers keep to. */
export function jobOf(row: JobRow): Job {
  const { requestHash: _, trainedTokens, plannedTokens, ...columns } = row;
  return {
    ...(columns as Omit<Job, 'trainedTokens' | 'plannedTokens'>),
    // Prisma reads int8 as bigint; token counts stay far below 2^53.
    trainedTokens: trainedTokens === null ? null : Number(trainedTokens),
    plannedTokens: plannedTokens === null ? null : Number(plannedTokens),
  };
}
