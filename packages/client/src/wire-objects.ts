/**
 * The objects of the API as they travel: OpenAI's shapes and Graft's extensions, with the wire's own field
 * names. Times are Unix seconds.
 */

import type { JobIntegration } from './wire-integrations.ts';

export type JobStatus =
  | 'validating_files'
  | 'queued'
  | 'running'
  | 'paused'
  | 'succeeded'
  | 'failed'
  | 'cancelled';

export interface FileObject {
  id: string;
  object: 'file';
  bytes: number;
  created_at: number;
  filename: string;
  purpose: string;
  status: 'uploaded' | 'processed' | 'error';
  status_details?: string | null;
  expires_at?: number | null;
  /** Hexadecimal. */
  sha256: string;
  /** What its lines are: chat, prompt_completion or text. */
  format: string | null;
  /** Training examples in it. */
  examples: number | null;
}

/** A file that is sent in parts. */
export interface UploadObject {
  id: string;
  object: 'upload';
  /** Of the whole file. */
  bytes: number;
  created_at: number;
  expires_at: number;
  filename: string;
  purpose: string;
  status: 'pending' | 'completed' | 'cancelled' | 'expired';
  /** Of a completed one, unless it was deleted since. Null in lists. */
  file: FileObject | null;
  mime_type: string;
  /** In its different parts so far. */
  received_bytes: number;
  /** How many there are so far. */
  parts: number;
}

export interface UploadPart {
  id: string;
  object: 'upload.part';
  created_at: number;
  upload_id: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

export interface Deleted {
  id: string;
  object: string;
  deleted: boolean;
}

/** HF PEFT's configuration, in HF's names; the API fills what is missing and refuses what it does not know. */
export type PeftOptions = { peft_type: string } & Record<string, unknown>;
export type TrainingOptions = Record<string, unknown>;

export interface Hyperparameters {
  n_epochs?: number | 'auto';
  batch_size?: number | 'auto';
  learning_rate_multiplier?: number | 'auto';
}

export type JobPriority = 'low' | 'normal' | 'high';

export interface JobCreateParams {
  /** A base model's id, or a fine-tuned model to go on from. */
  model: string;
  /** Adapter version to go on from: a model's name or a tag's (`ft:…`), or the version's id. Without `peft`, which is its own. */
  start_from?: string | null;
  /** File ids. */
  training_file: string;
  validation_file?: string | null;
  suffix?: string | null;
  seed?: number | null;
  method?: { type: 'supervised'; supervised?: { hyperparameters?: Hyperparameters } };
  hyperparameters?: Hyperparameters;
  metadata?: Record<string, string> | null;
  /** Among the team's own jobs. */
  priority?: JobPriority | null;
  /** At most one of each type, which the team has set up. */
  integrations?: JobIntegration[] | null;
  peft?: PeftOptions;
  training?: TrainingOptions;
}

/** What shall be other than in the job that is cloned. `seed: null` draws a new one. */
export type JobCloneParams = Partial<JobCreateParams>;

/** Together they keep what all of them do. Times are Unix seconds. */
export interface JobListParams {
  limit?: number;
  after?: string;
  status?: JobStatus;
  /** Id of the base model. */
  model?: string;
  /** Jobs that carry all these pairs. */
  metadata?: Record<string, string>;
  created_after?: number;
  created_before?: number;
}

export interface JobProgress {
  step: number;
  total_steps: number;
  /** Training epochs done, a fraction included. */
  epoch: number;
  /** Trained so far. */
  tokens: number;
  tokens_per_second: number;
  seconds_remaining: number | null;
}

/** How far a job's files are read while they are validated. */
export interface JobValidation {
  /** Of both files. */
  bytes: number;
  total_bytes: number;
  examples: number;
}

export interface FineTuningJob {
  id: string;
  object: 'fine_tuning.job';
  created_at: number;
  finished_at: number | null;
  model: string;
  organization_id: string;
  status: JobStatus;
  training_file: string;
  validation_file: string | null;
  fine_tuned_model: string | null;
  trained_tokens: number | null;
  hyperparameters: Hyperparameters;
  method?: JobCreateParams['method'];
  /** Name of the adapter version that training goes on from. */
  start_from: string | null;
  integrations: JobIntegration[];
  result_files: string[];
  seed: number;
  /** `fault` tells whose it is: the user's (the data, the options) or the system's. */
  error: {
    code: string;
    message: string;
    param: string | null;
    fault: 'user' | 'system' | 'environment';
  } | null;
  estimated_finish?: number | null;
  metadata?: Record<string, string> | null;
  peft: PeftOptions;
  training: TrainingOptions;
  /** While the status is `validating_files`. */
  validation: JobValidation | null;
  progress: JobProgress | null;
  priority: JobPriority;
  /** When it should start, in half of the cases and in nine of ten; null where nothing tells. */
  estimated_start: number | null;
  estimated_start_latest: number | null;
  /** Null before the job has succeeded, and of one that an earlier version trained. */
  training_end?: JobTrainingEnd | null;
  queue_position: number | null;
}

export interface JobTrainingEnd {
  /** The last optimizer step. */
  step: number;
  /** Those that were planned. */
  total_steps: number;
  reason: 'completed' | 'early_stopping';
  /** Whose adapter is published: the last, or with load_best_model_at_end the best. */
  published_step: number;
  /** The best evaluation; null without validation data. */
  best: { step: number; metric: string; value: number } | null;
}

export interface JobEvent {
  id: string;
  object: 'fine_tuning.job.event';
  created_at: number;
  level: 'info' | 'warn' | 'error';
  message: string;
  type: 'message' | 'metrics';
  data: Record<string, unknown>;
}

/** One lease of a job: a validation or a training attempt. */
export interface JobAttempt {
  id: string;
  object: 'fine_tuning.job.attempt';
  kind: 'training' | 'validation';
  worker: string;
  started_at: number;
  /** Null while it is under way. Of a lost one, its last sign of life. */
  ended_at: number | null;
  /** The checkpoint that it went on from; 0: none. */
  from_step: number | null;
  last_step: number | null;
  outcome: 'succeeded' | 'failed' | 'cancelled' | 'paused' | 'released' | 'lost' | 'environment' | null;
  reason: string | null;
}

/** What a job that is not over waits for. */
export interface JobOutlook {
  run_after: number | null;
  avoids_worker: string | null;
  quarantined_workers: string[];
  attempts_left: number;
  /** What its first worker had, and every other needs. Null before it was run. */
  requirements: { precision: 'fp32' | 'bf16'; threads: number; device: 'cpu' | 'gpu' } | null;
  /** Whether a worker that takes jobs now can run it. */
  has_worker: boolean;
}

export interface AttemptPage {
  object: 'list';
  data: JobAttempt[];
  has_more: boolean;
  last_id: string | null;
  /** Null for a job that is over. */
  outlook: JobOutlook | null;
}

export interface JobCheckpoint {
  id: string;
  object: 'fine_tuning.job.checkpoint';
  created_at: number;
  /** What completions take as `model`, if it is `available`. */
  fine_tuned_model_checkpoint: string;
  step_number: number;
  fine_tuning_job_id: string;
  /** Whether its adapter is kept, so that it can be called, downloaded and made a version. */
  available: boolean;
  /** Whether it is the best by metric_for_best_model so far. */
  best: boolean;
  /** Of its files. */
  bytes: number;
  /** How long writing took what training goes on from; null: there is none, or an earlier version wrote it. */
  seconds: number | null;
  /** Of the adapter; null: it is not kept. */
  digest: string | null;
  files: { path: string; bytes: number; sha256: string }[];
  metrics: Partial<
    Record<
      | 'step'
      | 'train_loss'
      | 'train_mean_token_accuracy'
      | 'valid_loss'
      | 'valid_mean_token_accuracy'
      | 'full_valid_loss'
      | 'full_valid_mean_token_accuracy',
      number
    >
  >;
}

export interface Model {
  id: string;
  object: 'model';
  created: number;
  /** `graft` for a base model, else the team. */
  owned_by: string;
  /** Null for a base model, as are the next two. */
  base_model: string | null;
  adapter: { id: string; version: number } | null;
  /** Null too for an adapter that was uploaded. */
  job: string | null;
}

export interface ChatMessage {
  role: 'system' | 'developer' | 'user' | 'assistant';
  content: string;
}

export interface SamplingParams {
  /** A base model's id, or `ft:…`. */
  model: string;
  max_tokens?: number;
  temperature?: number;
  top_p?: number;
  stop?: string | string[];
  seed?: number;
  /** Answers, at most 8; with a seed each has one of its own. */
  n?: number;
  stream_options?: { include_usage?: boolean };
}

export type ChatCompletionParams = SamplingParams & {
  messages: ChatMessage[];
  max_completion_tokens?: number;
};
export type CompletionParams = SamplingParams & { prompt: string };

export type FinishReason = 'stop' | 'length';

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export interface ChatCompletion {
  id: string;
  object: 'chat.completion';
  created: number;
  model: string;
  choices: { index: number; message: ChatMessage; finish_reason: FinishReason }[];
  usage: Usage;
}

export interface ChatCompletionChunk {
  id: string;
  object: 'chat.completion.chunk';
  created: number;
  model: string;
  choices: {
    index: number;
    delta: { role?: 'assistant'; content?: string };
    finish_reason: FinishReason | null;
  }[];
  usage?: Usage | null;
}

/** Whole, or one piece of a stream, whose `finish_reason` is null until the last. */
export interface Completion {
  id: string;
  object: 'text_completion';
  created: number;
  model: string;
  choices: { index: number; text: string; finish_reason: FinishReason | null }[];
  usage?: Usage | null;
}

/** One training step or one evaluation. */
export interface JobMetric {
  object: 'fine_tuning.job.metric';
  kind: 'train' | 'evaluation';
  step: number;
  epoch: number | null;
  loss: number;
  token_accuracy: number | null;
  learning_rate: number | null;
  grad_norm: number | null;
  /** Trained since the job began. */
  tokens: number | null;
  tokens_per_second: number | null;
  created_at: number;
  /** With `resolution`: the steps that this one, the last of them, stands for. */
  stretch?: {
    first_step: number;
    last_step: number;
    count: number;
    loss_min: number;
    loss_max: number;
    loss_mean: number;
  };
}
