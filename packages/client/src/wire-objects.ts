/** Objects of the API, OpenAI's shapes and Graft's extensions, with the field names of the API. Times are Unix seconds. */
import type * as Wire from './generated/wire.ts';
import type { JobIntegration } from './wire-integrations.ts';

export type {
  ChatCompletion,
  ChatCompletionChunk,
  ClassificationList,
  Completion,
  CompletionChunk,
  CreateClassification as ClassificationParams,
  CreateEmbedding as EmbeddingParams,
  EmbeddingList,
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

/** Response to every deletion. */
export interface Deleted {
  id: string;
  object: string;
  deleted: boolean;
}

/** Integrations have their settings beside their type. */
export type FineTuningJob = Omit<Wire.FineTuningJob, 'integrations'> & { integrations: JobIntegration[] };
export type JobStatus = Wire.FineTuningJob['status'];
export type JobPriority = Wire.FineTuningJob['priority'];

export type JobCreateParams = Omit<Wire.CreateFineTuningJob, 'integrations'> & {
  integrations?: JobIntegration[] | null;
};

/** Parameters that differ from those of the cloned job. `seed: null` draws a new seed. */
export type JobCloneParams = Partial<JobCreateParams>;

/** Filters, which are combined with "and". Times are Unix seconds. */
export type JobListParams = Wire.Queries['GET /v1/fine_tuning/jobs'];

/** A message with a single text, as in responses. */
export type ChatMessage = Pick<Wire.CreateChatCompletion['messages'][number], 'role'> & { content: string };

/** Parameters of both kinds of completions that have an effect in Graft. */
export type SamplingParams = Pick<
  Wire.CreateChatCompletion,
  | 'model'
  | 'max_tokens'
  | 'temperature'
  | 'top_p'
  | 'top_k'
  | 'min_p'
  | 'repetition_penalty'
  | 'frequency_penalty'
  | 'presence_penalty'
  | 'logit_bias'
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
    | 'messages'
    | 'max_completion_tokens'
    | 'logprobs'
    | 'top_logprobs'
    | 'chat_template_kwargs'
    | 'tools'
    | 'tool_choice'
    | 'parallel_tool_calls'
    | 'response_format'
  >;
export type CompletionParams = SamplingParams & Pick<Wire.CreateCompletion, 'prompt' | 'logprobs'>;

export type FinishReason = Wire.ChatCompletion['choices'][number]['finish_reason'];
export type Usage = Wire.ChatCompletion['usage'];
