/**
 * The objects of the API as they travel: OpenAI's shapes and Graft's extensions, with the wire's own field
 * names. Times are Unix seconds.
 */
import type * as Wire from './generated/wire.ts';
import type { JobIntegration } from './wire-integrations.ts';

export type {
  ChatCompletion,
  ChatCompletionChunk,
  Completion,
  CompletionChunk,
  EstimateFineTuningJob as JobEstimateParams,
  File as FileObject,
  FineTuningEstimate as JobEstimate,
  FineTuningJobAttempt as JobAttempt,
  FineTuningJobAttemptList as AttemptPage,
  FineTuningJobCheckpoint as JobCheckpoint,
  FineTuningJobEvent as JobEvent,
  FineTuningJobLosses as JobLosses,
  FineTuningJobMetric as JobMetric,
  FineTuningJobOutlook as JobOutlook,
  FineTuningJobProgress as JobProgress,
  FineTuningJobTrainingEnd as JobTrainingEnd,
  FineTuningJobTrial as JobTrial,
  FineTuningJobTrialList as TrialList,
  FineTuningJobValidation as JobValidation,
  Hyperparameters,
  Model,
  PeftRequest as PeftOptions,
  Sweep,
  TrainingOptions,
  Upload as UploadObject,
  UploadPart,
} from './generated/wire.ts';

/** What every deletion answers. */
export interface Deleted {
  id: string;
  object: string;
  deleted: boolean;
}

/** With the settings of each integration beside its type. */
export type FineTuningJob = Omit<Wire.FineTuningJob, 'integrations'> & { integrations: JobIntegration[] };
export type JobStatus = Wire.FineTuningJob['status'];
export type JobPriority = Wire.FineTuningJob['priority'];

export type JobCreateParams = Omit<Wire.CreateFineTuningJob, 'integrations'> & {
  integrations?: JobIntegration[] | null;
};

/** What shall be other than in the job that is cloned. `seed: null` draws a new one. */
export type JobCloneParams = Partial<JobCreateParams>;

/** Together they keep what all of them do. Times are Unix seconds. */
export type JobListParams = Wire.Queries['GET /v1/fine_tuning/jobs'];

/** As answers have it, too: of one text. */
export type ChatMessage = Pick<Wire.CreateChatCompletion['messages'][number], 'role'> & { content: string };

/** What both kinds of completion take, as far as Graft does something with it. */
export type SamplingParams = Pick<
  Wire.CreateChatCompletion,
  | 'model'
  | 'max_tokens'
  | 'temperature'
  | 'top_p'
  | 'top_k'
  | 'min_p'
  | 'repetition_penalty'
  | 'generation_config'
  | 'stop'
  | 'seed'
  | 'n'
  | 'stream_options'
  | 'allow_special_tokens'
>;

export type ChatCompletionParams = SamplingParams &
  Pick<
    Wire.CreateChatCompletion,
    'messages' | 'max_completion_tokens' | 'logprobs' | 'top_logprobs' | 'chat_template_kwargs'
  >;
export type CompletionParams = SamplingParams & Pick<Wire.CreateCompletion, 'prompt' | 'logprobs'>;

export type FinishReason = Wire.ChatCompletion['choices'][number]['finish_reason'];
export type Usage = Wire.ChatCompletion['usage'];
