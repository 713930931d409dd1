/** Objects of the API, OpenAI's shapes and Graft's extensions, with the field names of the API. Times are Unix seconds. */
import type * as Wire from '@graft/wire/types';

export type {
  AcceptedInvitation,
  Adapter,
  AdapterComparison,
  AdapterExport,
  AdapterExportFormatList,
  AdapterLineage,
  AdapterPublication,
  AdapterTag,
  AdapterVersion,
  AddBaseModel as NewBaseModel,
  ApiKey,
  AuditEntry as AuditEntryObject,
  BaseModel as BaseModelObject,
  Budget,
  ChatCompletion,
  ChatCompletionChunk,
  ClassificationList,
  CombineAdapters,
  Completion,
  CompletionChunk,
  CreateAdapterExport,
  CreateAdapterPublication,
  CreateApiKey as ApiKeyParams,
  CreateClassification as ClassificationParams,
  CreateDeployTarget,
  CreatedApiKey,
  CreatedInvitation,
  CreateEmbedding as EmbeddingParams,
  CreateFineTuningJob as JobCreateParams,
  CreateInvitation as InvitationParams,
  DeletedAdapter,
  DeletedAdapterExport,
  DeletedAdapterPublication,
  DeletedAdapterTag,
  DeletedAdapterVersion,
  DeployTarget,
  EmbeddingList,
  EstimateFineTuningJob as JobEstimateParams,
  File as FileObject,
  FileReport,
  FileReportChats as ReportChats,
  FileReportJudgements as ReportJudgements,
  FileReportPairs as ReportPairs,
  FileReportResult as ReportResult,
  FileReportTokens as ReportTokens,
  FineTuningEstimate as JobEstimate,
  FineTuningJob,
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
  Integration,
  Invitation,
  InvitationPreview,
  JobIntegration,
  Me,
  Model,
  ModelAlias,
  MovedAdapterTag,
  OperatorKey,
  PeftRequest as PeftOptions,
  Person,
  Session as SessionObject,
  SetIntegration as IntegrationParams,
  Sweep,
  Team as TeamObject,
  TeamMember,
  TeamQuota,
  TrainingOptions,
  UpdateDeployTarget,
  Upload as UploadObject,
  UploadPart,
  UsageBucket,
  UsagePage,
  UsagePrice,
  UsageResult,
  WebhookDelivery,
  WebhookEndpoint as Webhook,
  WebhookEndpointWithSecret as WebhookWithSecret,
  WebhookTest,
  Worker as WorkerObject,
} from '@graft/wire/types';

/** Response to every deletion. */
export interface Deleted {
  id: string;
  object: string;
  deleted: boolean;
}

export type JobStatus = Wire.FineTuningJob['status'];
export type JobPriority = Wire.FineTuningJob['priority'];

/** Parameters that differ from those of the cloned job. `seed: null` draws a new seed. */
export type JobCloneParams = Partial<Wire.CreateFineTuningJob>;

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

/** A format in which a version can be exported. */
export type AdapterExportFormat = Wire.AdapterExportFormatList['data'][number];

/** A value that differs; a side without a value lacks the key. */
export type AdapterDifference = Wire.AdapterComparison['config'][number];

export type UsageKind = Wire.UsagePrice['kind'];

/** Usage of a team, or with an operator key of all teams or of `team_id`. */
export type UsageParams = Omit<Wire.Queries['GET /v1/usage'], 'page' | 'format'> &
  Pick<Wire.Queries['GET /v1/admin/usage'], 'team_id'>;

export type WebhookEventType = Wire.WebhookEndpoint['events'][number];

export type WebhookParams = Partial<Wire.CreateWebhookEndpoint>;

export type IntegrationType = Wire.Integration['type'];

export type Role = Wire.ApiKey['role'];

export type AuditFilterParams = Omit<Wire.Queries['GET /v1/audit'], 'limit'>;

/** Limits of a team, set by the operator. Null: no limit. */
export type TeamQuotaLimits = Required<Wire.UpdateTeamQuota>;

type Embedding = Wire.EmbeddingList['data'][number];

/** Vectors as numbers. */
export type EmbeddingVectors = Omit<Wire.EmbeddingList, 'data'> & {
  data: (Omit<Embedding, 'embedding'> & { embedding: number[] })[];
};
