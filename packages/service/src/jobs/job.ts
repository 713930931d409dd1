/**
 * Vocabulary
 * - job: a request to train one adapter. Its row in Postgres is the truth; the queue only rings a bell.
 * - lease: the right to work on a job, `{id, epoch}`. Every dispatch raises the *lease epoch*; a write that
 *   carries an older epoch changes nothing. Such a writer is *fenced*: it stops and writes nothing more.
 * - attempt: one claim of the job by a worker.
 * - progress, metrics, checkpoint: what a worker reports while it holds the lease.
 */
import type { Hyperparameters, PeftConfig, ResolvedTraining, TrainingOptions } from '@graft/peft-core/config';

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

export interface Lease {
  id: string;
  /** The lease epoch. */
  epoch: number;
}

export interface JobError {
  code: string;
  message: string;
  param: string | null;
  /** A user fault is never retried. */
  fault: 'user' | 'system';
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
}

export interface Job {
  id: string;
  teamId: string;
  keyId: string | null;
  state: JobState;
  /** Catalogue id of the base model. */
  model: string;
  suffix: string | null;
  seed: number;
  trainingFileId: string;
  validationFileId: string | null;
  method: string;
  hyperparameters: Hyperparameters;
  peft: PeftConfig;
  /** As requested. */
  training: TrainingOptions;
  /** Every number fixed; null until the data were validated. */
  resolvedTraining: ResolvedTraining | null;
  metadata: Record<string, string> | null;
  progress: JobProgress | null;
  error: JobError | null;
  /** Set with the state succeeded. */
  fineTunedModel: string | null;
  trainedTokens: number | null;
  leaseEpoch: number;
  leaseUntil: Date | null;
  workerId: string | null;
  attempts: number;
  attemptsSinceCheckpoint: number;
  lastCheckpointStep: number | null;
  runAfter: Date;
  cancelRequestedAt: Date | null;
  pauseRequestedAt: Date | null;
  createdAt: Date;
  dispatchedAt: Date | null;
  startedAt: Date | null;
  finishedAt: Date | null;
}

/** `ft:{base}:{team}:{suffix}:{id}`: the name a job's model has once it succeeds. */
export function fineTunedModelName(job: Pick<Job, 'id' | 'model' | 'suffix'>, teamName: string): string {
  return `ft:${job.model}:${teamName}:${job.suffix ?? ''}:${job.id.slice(-8)}`;
}

/** The job's lease as its row has it now. */
export function leaseOf(job: Job): Lease {
  return { id: job.id, epoch: job.leaseEpoch };
}

const columns: Record<keyof Job, string> = {
  id: 'id',
  teamId: 'team_id',
  keyId: 'key_id',
  state: 'state',
  model: 'model',
  suffix: 'suffix',
  seed: 'seed',
  trainingFileId: 'training_file_id',
  validationFileId: 'validation_file_id',
  method: 'method',
  hyperparameters: 'hyperparameters',
  peft: 'peft',
  training: 'training',
  resolvedTraining: 'resolved_training',
  metadata: 'metadata',
  progress: 'progress',
  error: 'error',
  fineTunedModel: 'fine_tuned_model',
  // int8 would arrive as text; token counts stay far below 2^53.
  trainedTokens: 'trained_tokens::float8',
  leaseEpoch: 'lease_epoch',
  leaseUntil: 'lease_until',
  workerId: 'worker_id',
  attempts: 'attempts',
  attemptsSinceCheckpoint: 'attempts_since_checkpoint',
  lastCheckpointStep: 'last_checkpoint_step',
  runAfter: 'run_after',
  cancelRequestedAt: 'cancel_requested_at',
  pauseRequestedAt: 'pause_requested_at',
  createdAt: 'created_at',
  dispatchedAt: 'dispatched_at',
  startedAt: 'started_at',
  finishedAt: 'finished_at',
};

/** Select list that yields a row of type `Job`, from the table named or aliased `jobs`. */
export const jobColumns = Object.entries(columns)
  .map(([name, column]) => `jobs.${column} AS "${name}"`)
  .join(', ');
