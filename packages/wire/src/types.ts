/** The type of every schema with a name, under that name. */
import type * as config from '@graft/peft-core/config';
import type { Static, TSchema } from 'typebox';
import type * as adapter from './adapter.ts';
import type * as adapterRequests from './adapter-requests.ts';
import type * as adapterExport from './adapters/adapter-export.ts';
import type * as deployTarget from './adapters/deploy-target.ts';
import type * as exit from './adapters/exit.ts';
import type * as publication from './adapters/publication.ts';
import type * as apiKey from './api-key.ts';
import type * as audit from './audit.ts';
import type * as baseModel from './base-model.ts';
import type * as chatCompletion from './chat-completion.ts';
import type * as completion from './completion.ts';
import type * as error from './error.ts';
import type * as file from './file.ts';
import type * as fileReport from './file-report.ts';
import type * as integration from './integration.ts';
import type * as cloneJob from './jobs/clone-job.ts';
import type * as dataCounts from './jobs/data-counts.ts';
import type * as deleteJob from './jobs/delete-job.ts';
import type * as estimate from './jobs/estimate.ts';
import type * as fineTuningJob from './jobs/fine-tuning-job.ts';
import type * as jobOptions from './jobs/job-options.ts';
import type * as jobOutlook from './jobs/job-outlook.ts';
import type * as jobProgress from './jobs/job-progress.ts';
import type * as jobRecords from './jobs/job-records.ts';
import type * as jobTrial from './jobs/job-trial.ts';
import type * as model from './model.ts';
import type * as schema from './schema.ts';
import type * as serviceState from './service-state.ts';
import type * as session from './session.ts';
import type * as team from './team.ts';
import type * as teamQuota from './team-quota.ts';
import type * as classification from './texts/classification.ts';
import type * as embedding from './texts/embedding.ts';
import type * as upload from './upload.ts';
import type * as usage from './usage.ts';
import type * as webhook from './webhook.ts';
import type * as worker from './worker.ts';

export interface AcceptInvitation extends Static<typeof team.AcceptInvitationSchema> {}
export interface AcceptInvitationAsMe extends Static<typeof session.AcceptAsMeSchema> {}
export interface AcceptedInvitation extends Static<typeof team.AcceptedInvitationSchema> {}
export interface Adapter extends Static<typeof adapter.AdapterSchema> {}
export interface AdapterComparison extends Static<typeof adapterRequests.ComparisonSchema> {}
export interface AdapterExport extends Static<typeof adapterExport.AdapterExportSchema> {}
export interface AdapterExportFormatList extends Static<typeof adapterExport.ExportFormatListSchema> {}
export interface AdapterLineage extends Static<typeof adapterRequests.LineageSchema> {}
export interface AdapterPublication extends Static<typeof publication.PublicationSchema> {}
export interface AdapterTag extends Static<typeof adapterRequests.AdapterTagSchema> {}
export interface AdapterVersion extends Static<typeof adapter.AdapterVersionSchema> {}
export interface AddBaseModel extends Static<typeof baseModel.AddBaseModelSchema> {}
export interface AllowBaseModel extends Static<typeof baseModel.AllowBaseModelSchema> {}
export interface ApiKey extends Static<typeof apiKey.ApiKeySchema> {}
export interface ApiKeyRevocation extends Static<typeof apiKey.RevocationSchema> {}
export interface AuditChain extends Static<typeof audit.AuditChainSchema> {}
export interface AuditCheck extends Static<typeof audit.AuditCheckSchema> {}
export interface AuditEntry extends Static<typeof audit.AuditEntrySchema> {}
export interface AuditFault extends Static<typeof audit.AuditFaultSchema> {}
export interface BaseModel extends Static<typeof baseModel.BaseModelSchema> {}
export interface Budget extends Static<typeof usage.BudgetSchema> {}
export interface ChangeAdapterExport extends Static<typeof adapterExport.ChangeExportSchema> {}
export interface ChatCompletion extends Static<typeof chatCompletion.ChatCompletionSchema> {}
export interface ChatCompletionChunk extends Static<typeof chatCompletion.ChatCompletionChunkSchema> {}
export interface ChooseTeam extends Static<typeof session.ChooseTeamSchema> {}
export interface ClassificationList extends Static<typeof classification.ClassificationListSchema> {}
export interface CloneFineTuningJob
  extends Omit<Static<typeof cloneJob.CloneJobSchema>, keyof Parsed>,
    Parsed {}
export interface CombineAdapters extends Static<typeof adapterRequests.CombineAdaptersSchema> {}
export interface CompleteUpload extends Static<typeof upload.CompleteUploadSchema> {}
export interface Completion extends Static<typeof completion.CompletionSchema> {}
export interface CompletionChunk extends Static<typeof completion.CompletionChunkSchema> {}
export interface CreateAdapterExport extends Static<typeof adapterExport.CreateExportSchema> {}
export interface CreateAdapterPublication extends Static<typeof publication.CreatePublicationSchema> {}
export interface CreateApiKey extends Static<typeof apiKey.CreateApiKeySchema> {}
export interface CreateChatCompletion extends Static<typeof chatCompletion.CreateChatCompletionSchema> {}
export interface CreateClassification extends Static<typeof classification.CreateClassificationSchema> {}
export interface CreateCompletion extends Static<typeof completion.CreateCompletionSchema> {}
export interface CreateDeployTarget extends Static<typeof deployTarget.NewDeployTargetSchema> {}
export interface CreateEmbedding extends Static<typeof embedding.CreateEmbeddingSchema> {}
export interface CreateFineTuningJob
  extends Omit<Static<typeof fineTuningJob.CreateJobSchema>, keyof Parsed>,
    Parsed {}
export interface CreateInvitation extends Static<typeof team.CreateInvitationSchema> {}
export interface CreateOperatorKey extends Static<typeof worker.CreateOperatorKeySchema> {}
export interface CreatePerson extends Static<typeof team.CreatePersonSchema> {}
export interface CreateTeam extends Static<typeof team.CreateTeamSchema> {}
export interface CreateTeamKey extends Static<typeof apiKey.CreateTeamKeySchema> {}
export interface CreateUpload extends Static<typeof upload.CreateUploadSchema> {}
export interface CreateWebhookEndpoint extends Static<typeof webhook.NewWebhookSchema> {}
export interface CreatedApiKey extends Static<typeof apiKey.CreatedApiKeySchema> {}
export interface CreatedInvitation extends Static<typeof team.CreatedInvitationSchema> {}
export interface CreatedOperatorKey extends Static<typeof worker.CreatedOperatorKeySchema> {}
export interface DeletedAdapter extends Static<typeof adapterRequests.DeletedAdapterSchema> {}
export interface DeletedAdapterExport extends Static<typeof adapterExport.DeletedExportSchema> {}
export interface DeletedAdapterPublication extends Static<typeof publication.DeletedPublicationSchema> {}
export interface DeletedAdapterTag extends Static<typeof adapterRequests.DeletedAdapterTagSchema> {}
export interface DeletedAdapterVersion extends Static<typeof adapterRequests.DeletedVersionSchema> {}
export interface DeletedApiKey extends Static<typeof apiKey.DeletedApiKeySchema> {}
export interface DeletedBaseModel extends Static<typeof baseModel.DeletedBaseModelSchema> {}
export interface DeletedBudget extends Static<typeof usage.DeletedBudgetSchema> {}
export interface DeletedCheckpoint extends Static<typeof jobRecords.DeletedCheckpointSchema> {}
export interface DeletedDeployTarget extends Static<typeof deployTarget.DeletedDeployTargetSchema> {}
export interface DeletedFile extends Static<typeof file.DeletedFileSchema> {}
export interface DeletedFineTuningJob extends Static<typeof deleteJob.DeletedJobSchema> {}
export interface DeletedIntegration extends Static<typeof integration.DeletedIntegrationSchema> {}
export interface DeletedModel extends Static<typeof model.DeletedModelSchema> {}
export interface DeletedModelAlias extends Static<typeof model.DeletedModelAliasSchema> {}
export interface DeletedOperatorKey extends Static<typeof worker.DeletedOperatorKeySchema> {}
export interface DeletedTeam extends Static<typeof team.DeletedTeamSchema> {}
export interface DeletedUsagePrice extends Static<typeof usage.DeletedPriceSchema> {}
export interface DeletedWebhookEndpoint extends Static<typeof webhook.DeletedWebhookSchema> {}
export interface DenyBaseModel extends Static<typeof baseModel.DenyBaseModelSchema> {}
export interface DeployLeftover extends Static<typeof exit.LeftoverSchema> {}
export interface DeployTarget extends Static<typeof deployTarget.DeployTargetSchema> {}
export interface DismissedDeployLeftover extends Static<typeof exit.DismissedLeftoverSchema> {}
export interface EmbeddingList extends Static<typeof embedding.EmbeddingListSchema> {}
export interface EndedSession extends Static<typeof session.EndedSessionSchema> {}
export interface EndedSessions extends Static<typeof session.EndedSessionsSchema> {}
export interface ErasedPerson extends Static<typeof team.ErasedPersonSchema> {}
export interface Error extends Static<typeof error.ErrorSchema> {}
export interface EstimateFineTuningJob
  extends Omit<Static<typeof fineTuningJob.EstimateJobSchema>, keyof Parsed>,
    Parsed {}
export interface File extends Static<typeof file.FileSchema> {}
export interface FileReport extends Static<typeof fileReport.FileReportSchema> {}
export interface FileReportChats extends Static<typeof fileReport.Chats> {}
export interface FileReportJudgements extends Static<typeof fileReport.Judgements> {}
export interface FileReportPairs extends Static<typeof fileReport.Pairs> {}
export interface FileReportResult extends Static<typeof fileReport.Result> {}
export interface FileReportTokens extends Static<typeof fileReport.Tokens> {}
export interface FineTuningChanges extends Static<typeof estimate.ChangesSchema> {}
export interface FineTuningCheck extends Static<typeof estimate.JobCheckSchema> {}
export interface FineTuningEstimate extends Static<typeof estimate.EstimateSchema> {}
export interface FineTuningJob extends Static<typeof fineTuningJob.JobSchema> {}
export interface FineTuningJobAttempt extends Static<typeof jobRecords.AttemptSchema> {}
export interface FineTuningJobAttemptList extends Static<typeof jobRecords.AttemptListSchema> {}
export interface FineTuningJobCheckpoint extends Static<typeof jobRecords.CheckpointSchema> {}
export interface FineTuningJobData extends Static<typeof dataCounts.DataSchema> {}
export interface FineTuningJobEvent extends Static<typeof jobRecords.EventSchema> {}
export interface FineTuningJobLosses extends Static<typeof jobRecords.LossCurveSchema> {}
export interface FineTuningJobMetric extends Static<typeof jobRecords.MetricSchema> {}
export interface FineTuningJobOutlook extends Static<typeof jobOutlook.OutlookSchema> {}
export interface FineTuningJobProgress extends Static<typeof jobProgress.ProgressSchema> {}
export interface FineTuningJobTrainingEnd extends Static<typeof fineTuningJob.TrainingEndSchema> {}
export interface FineTuningJobTrial extends Static<typeof jobTrial.TrialSchema> {}
export interface FineTuningJobTrialList extends Static<typeof jobTrial.TrialListSchema> {}
export interface FineTuningJobValidation extends Static<typeof fineTuningJob.ValidationSchema> {}
export interface FineTuningMethod extends Static<typeof jobOptions.MethodSchema> {}
export interface FineTuningMetric extends Static<typeof jobOptions.MetricSchema> {}
export interface FineTuningObjective extends Static<typeof jobOptions.ObjectiveSchema> {}
export interface FineTuningOptions extends Static<typeof jobOptions.JobOptionsSchema> {}
export interface FineTuningPlan extends Static<typeof estimate.JobPlanSchema> {}
export interface ForgottenBaseModel extends Static<typeof baseModel.ForgottenBaseModelSchema> {}
export interface ImportFile extends Static<typeof file.ImportFileSchema> {}
export interface Integration extends Static<typeof integration.IntegrationSchema> {}
export interface Invitation extends Static<typeof team.InvitationSchema> {}
export interface InvitationPreview extends Static<typeof team.InvitationPreviewSchema> {}
export interface JoinedTeam extends Static<typeof session.JoinedSchema> {}
export interface KeySignIn extends Static<typeof session.KeySignInSchema> {}
export interface Me extends Static<typeof team.MeSchema> {}
export interface Model extends Static<typeof model.ModelSchema> {}
export interface ModelAlias extends Static<typeof model.ModelAliasSchema> {}
export interface MoveAdapterTag extends Static<typeof adapterRequests.MoveAdapterTagSchema> {}
export interface MovedAdapterTag extends Static<typeof adapterRequests.MovedAdapterTagSchema> {}
export interface OperatorKey extends Static<typeof worker.OperatorKeySchema> {}
export interface Person extends Static<typeof team.PersonSchema> {}
export interface PersonIdentity extends Static<typeof session.IdentitySchema> {}
export interface PreviewInvitation extends Static<typeof team.PreviewInvitationSchema> {}
export interface PromoteCheckpoint extends Static<typeof jobRecords.PromoteCheckpointSchema> {}
export interface PublishingRules extends Static<typeof exit.PublishingRulesSchema> {}
export interface QuarantineWorker extends Static<typeof worker.QuarantineSchema> {}
export interface Queue extends Static<typeof serviceState.QueueSchema> {}
export interface Receipt extends Static<typeof schema.ReceiptSchema> {}
export interface RemovedMember extends Static<typeof team.RemovedMemberSchema> {}
export interface RevokedInvitation extends Static<typeof team.RevokedInvitationSchema> {}
export interface RotateApiKey extends Static<typeof apiKey.RotateApiKeySchema> {}
export interface RotateWebhookSecret extends Static<typeof webhook.RotationSchema> {}
export interface ServiceState extends Static<typeof serviceState.ServiceStateSchema> {}
export interface Session extends Static<typeof session.SessionSchema> {}
export interface SetAdapterNote extends Static<typeof adapterRequests.SetNoteSchema> {}
export interface SetBudget extends Static<typeof usage.SetBudgetSchema> {}
export interface SetIntegration extends Static<typeof integration.PutIntegrationSchema> {}
export interface SetModelAlias extends Static<typeof model.SetModelAliasSchema> {}
export interface SetPublishingRules extends Static<typeof exit.SetPublishingRulesSchema> {}
export interface SetRole extends Static<typeof team.SetRoleSchema> {}
export interface SetUsagePrice extends Static<typeof usage.SetPriceSchema> {}
export interface SignInOptions extends Static<typeof session.SignInOptionsSchema> {}
export interface SignedOut extends Static<typeof session.SignedOutSchema> {}
export interface Team extends Static<typeof team.TeamSchema> {}
export interface TeamExit extends Static<typeof exit.ExitSchema> {}
export interface TeamInQueue extends Static<typeof serviceState.TeamInQueueSchema> {}
export interface TeamMember extends Static<typeof team.MemberSchema> {}
export interface TeamQuota extends Static<typeof teamQuota.TeamQuotaSchema> {}
export interface TrainableModel extends Static<typeof jobOptions.TrainableModelSchema> {}
export interface UnlinkedIdentity extends Static<typeof session.UnlinkedIdentitySchema> {}
export interface UpdateBaseModel extends Static<typeof baseModel.UpdateBaseModelSchema> {}
export interface UpdateDeployTarget extends Static<typeof deployTarget.DeployTargetChangesSchema> {}
export interface UpdateFineTuningJob extends Static<typeof fineTuningJob.UpdateJobSchema> {}
export interface UpdatePerson extends Static<typeof team.UpdatePersonSchema> {}
export interface UpdateTeam extends Static<typeof team.UpdateTeamSchema> {}
export interface UpdateTeamQuota extends Static<typeof teamQuota.UpdateTeamQuotaSchema> {}
export interface UpdateWebhookEndpoint extends Static<typeof webhook.WebhookChangesSchema> {}
export interface Upload extends Static<typeof upload.UploadObjectSchema> {}
export interface UploadPart extends Static<typeof upload.UploadPartSchema> {}
export interface UsageBucket extends Static<typeof usage.BucketSchema> {}
export interface UsagePage extends Static<typeof usage.UsagePageSchema> {}
export interface UsagePrice extends Static<typeof usage.PriceSchema> {}
export interface UsageResult extends Static<typeof usage.UsageResultSchema> {}
export interface WebhookDelivery extends Static<typeof webhook.DeliverySchema> {}
export interface WebhookEndpoint extends Static<typeof webhook.WebhookSchema> {}
export interface WebhookEndpointWithSecret extends Static<typeof webhook.WebhookWithSecretSchema> {}
export interface WebhookTest extends Static<typeof webhook.WebhookTestSchema> {}
export interface Worker extends Static<typeof worker.WorkerSchema> {}
export type BottleneckConfig = config.PeftConfig<'BOTTLENECK'>;
export type HiraConfig = config.PeftConfig<'HIRA'>;
export type IA3Config = config.PeftConfig<'IA3'>;
export type LNTuningConfig = config.PeftConfig<'LN_TUNING'>;
export type LoHaConfig = config.PeftConfig<'LOHA'>;
export type LoKrConfig = config.PeftConfig<'LOKR'>;
export type LoraConfig = config.PeftConfig<'LORA'>;
export type MissConfig = config.PeftConfig<'MISS'>;
export type OFTConfig = config.PeftConfig<'OFT'>;
export type PTuningConfig = config.PeftConfig<'P_TUNING'>;
export type PrefixTuningConfig = config.PeftConfig<'PREFIX_TUNING'>;
export type PromptTuningConfig = config.PeftConfig<'PROMPT_TUNING'>;
export type SelectiveConfig = config.PeftConfig<'SELECTIVE'>;
export type TrainableTokensConfig = config.PeftConfig<'TRAINABLE_TOKENS'>;
export type VeraConfig = config.PeftConfig<'VERA'>;
export type PeftConfig = config.PeftConfig;
export interface Hyperparameters extends Static<typeof config.HyperparametersSchema> {}
export interface PreferenceHyperparameters extends Static<typeof config.PreferenceHyperparametersSchema> {}
export interface ResolvedTraining extends Static<typeof config.ResolvedTrainingSchema> {}
export interface TrainingOptions extends Static<typeof config.TrainingOptionsSchema> {}
export interface Sweep extends Static<typeof config.SweepSchema> {}
export type JobIntegration = integration.JobIntegrationRequest;

/** The parts of a request that are parsed elsewhere: their schemas are documentation. */
interface Parsed {
  peft?: PeftRequest;
  training?: TrainingOptions;
  sweep?: Sweep | null;
}

/** The options of a configuration that `auto` leaves to Graft. */
type Automatic =
  | 'r'
  | 'lora_alpha'
  | 'target_modules'
  | 'target_parameters'
  | 'oft_block_size'
  | 'alpha'
  | 'decompose_factor';
type OptionsOf<Config> = Config extends unknown ? Exclude<keyof Config, 'peft_type'> : never;
type ValueOf<Config, Option> = Config extends unknown
  ? Option extends keyof Config
    ? Config[Option]
    : never
  : never;
/** A method, and any of its options. */
export type PeftRequest = { peft_type?: PeftConfig['peft_type'] } & {
  [Option in OptionsOf<PeftConfig>]?:
    | ValueOf<PeftConfig, Option>
    | (Option extends Automatic ? 'auto' : never);
};

/** The query parameters of a request: those with a default may be left out. */
type Asked<Query extends TSchema, Required extends keyof Static<Query> = never> = Flat<
  Partial<Omit<Static<Query>, Required>> & Pick<Static<Query>, Required>
>;
/** Lets editors show the properties of a type. */
type Flat<T> = { [Name in keyof T]: T[Name] };
/** Query parameters of operations. */
export interface Queries {
  'DELETE /v1/admin/teams/{team_id}': Asked<typeof team.DeleteTeamQuery, 'name'>;
  'DELETE /v1/admin/teams/{team_id}/members/{person_id}': Asked<typeof team.RemoveMemberQuery>;
  'DELETE /v1/fine_tuning/jobs/{fine_tuning_job_id}': Asked<typeof deleteJob.DeleteJobQuery>;
  'DELETE /v1/team': Asked<typeof team.DeleteTeamQuery, 'name'>;
  'DELETE /v1/team/keys/{key_id}': Asked<typeof apiKey.RevokeApiKeyQuery>;
  'DELETE /v1/team/members/{person_id}': Asked<typeof team.RemoveMemberQuery>;
  'GET /v1/adapters': Asked<typeof adapter.ListAdaptersQuery>;
  'GET /v1/adapters/compare': Asked<typeof adapterRequests.CompareQuery, 'a' | 'b'>;
  'GET /v1/adapters/deleted': Asked<typeof adapterRequests.ListDeletedQuery>;
  'GET /v1/adapters/{adapter_id}/versions': Asked<typeof adapter.ListAdapterVersionsQuery>;
  'GET /v1/adapters/{adapter_id}/versions/{version}/exports': Asked<typeof adapterExport.ListExportsQuery>;
  'GET /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}/download': Asked<
    typeof adapterExport.DownloadExportQuery
  >;
  'GET /v1/adapters/{adapter_id}/versions/{version}/publications': Asked<
    typeof publication.ListPublicationsQuery
  >;
  'GET /v1/admin/audit/chains': Asked<typeof team.ListQuery>;
  'GET /v1/admin/audit/chains/{chain_id}/check': Asked<typeof audit.AuditCheckQuery>;
  'GET /v1/admin/base-models': Asked<typeof baseModel.ListBaseModelsQuery>;
  'GET /v1/admin/deploy_leftovers': Asked<typeof exit.ListLeftoversQuery>;
  'GET /v1/admin/keys': Asked<typeof team.ListQuery>;
  'GET /v1/admin/people': Asked<typeof team.ListPeopleQuery>;
  'GET /v1/admin/prices': Asked<typeof usage.ListPricesQuery>;
  'GET /v1/admin/teams': Asked<typeof team.ListTeamsQuery>;
  'GET /v1/admin/teams/{team_id}/keys': Asked<typeof apiKey.ListApiKeysQuery>;
  'GET /v1/admin/usage': Asked<typeof usage.AdminUsageQuery, 'start_time'>;
  'GET /v1/admin/workers': Asked<typeof team.ListQuery>;
  'GET /v1/audit': Asked<typeof audit.ListAuditQuery>;
  'GET /v1/audit/export': Asked<typeof audit.ExportAuditQuery>;
  'GET /v1/deploy_targets': Asked<typeof deployTarget.ListDeployTargetsQuery>;
  'GET /v1/files': Asked<typeof file.ListFilesQuery>;
  'GET /v1/files/{file_id}/report': Asked<typeof fileReport.FileReportQuery>;
  'GET /v1/fine_tuning/jobs': Asked<typeof fineTuningJob.ListJobsQuery>;
  'GET /v1/fine_tuning/jobs/losses': Asked<typeof jobRecords.LossCurvesQuery, 'ids'>;
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/attempts': Asked<typeof jobRecords.ListAttemptsQuery>;
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints': Asked<typeof jobRecords.ListCheckpointsQuery>;
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events': Asked<typeof jobRecords.ListEventsQuery>;
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/metrics': Asked<typeof jobRecords.ListMetricsQuery>;
  'GET /v1/fine_tuning/options': Asked<typeof jobOptions.JobOptionsQuery>;
  'GET /v1/me/sessions': Asked<typeof team.ListQuery>;
  'GET /v1/models': Asked<typeof model.ListModelsQuery>;
  'GET /v1/sign-in': Asked<typeof session.SignInQuery>;
  'GET /v1/sign-in/callback': Asked<typeof session.CallbackQuery>;
  'GET /v1/team/exits': Asked<typeof exit.ListExitsQuery>;
  'GET /v1/team/invitations': Asked<typeof team.ListQuery>;
  'GET /v1/team/keys': Asked<typeof apiKey.ListApiKeysQuery>;
  'GET /v1/team/keys/{key_id}/revocation': Asked<typeof apiKey.RevokeApiKeyQuery>;
  'GET /v1/team/members': Asked<typeof team.ListQuery>;
  'GET /v1/uploads': Asked<typeof upload.ListUploadsQuery>;
  'GET /v1/uploads/{upload_id}/parts': Asked<typeof upload.ListPartsQuery>;
  'GET /v1/usage': Asked<typeof usage.UsageQuery, 'start_time'>;
  'GET /v1/webhooks': Asked<typeof webhook.ListWebhooksQuery>;
  'GET /v1/webhooks/{webhook_id}/deliveries': Asked<typeof webhook.ListDeliveriesQuery>;
}
