/** What API, worker and admin commands share. `services.ts` opens all services; `jobs/job.ts` defines the vocabulary. */
export type { Adapter, AdapterTag, AdapterVersion } from './adapters/adapter.ts';
export { isTag, listTags, moveTag, removeTag } from './adapters/adapter-tags.ts';
export type { CheckpointAdapter } from './adapters/checkpoint-adapter.ts';
export {
  deleteCheckpointAdapter,
  findCheckpointModel,
  findPromoted,
  getCheckpointAdapter,
  hasCheckpoint,
  promoteCheckpoint,
} from './adapters/checkpoint-adapters.ts';
export { type Comparison, compareVersions } from './adapters/compare-versions.ts';
export {
  deleteFineTunedModel,
  deleteVersions,
  listDeletedVersions,
  restorableUntil,
  restoreVersion,
} from './adapters/delete-adapters.ts';
export { longestNote, setNote } from './adapters/notes.ts';
export { publishUpload } from './adapters/publish-upload.ts';
export {
  type FineTunedModel,
  findFineTunedModel,
  findVersionById,
  getAdapter,
  getAdapterVersion,
  listAdapters,
  listAdapterVersions,
  listFineTunedModels,
} from './adapters/read-adapters.ts';
export { type Lineage, readLineage } from './adapters/read-lineage.ts';
export { type Actor, requesterOf } from './audit/actor.ts';
export { startAuditExporter } from './audit/export/audit-exporter.ts';
export { type AuditRecord, exportAudit, listAudit } from './audit/read-audit.ts';
export { type AuditCheck, type AuditHead, listAuditHeads, verifyAudit } from './audit/verify-audit.ts';
export type { AddedModel, ModelFile } from './base-models/added/added-model.ts';
export {
  addBaseModel,
  findAddedModel,
  hideBaseModel,
  listAddedModels,
  removeBaseModel,
  retryBaseModel,
} from './base-models/added/manage-added-models.ts';
export { startModelFetcher } from './base-models/added/model-fetcher.ts';
export {
  type AccessChange,
  changeModelAccess,
  type ModelAccess,
  readAccess,
} from './base-models/added/model-permissions.ts';
export { admitBaseModel, forgetBaseModel, listRecordedBaseModels } from './base-models/admit-base-model.ts';
export { baseModelFault, isLastingModelFault } from './base-models/base-model-fault.ts';
export type { BaseModelEntry, ConfiguredEntry, LocalBaseModel } from './base-models/catalogue.ts';
export { encodeLine, startReading } from './channel/lines.ts';
export { makeCertificate, type OwnCertificate } from './channel/own-certificate.ts';
export * from './channel/protocol.ts';
export { createTokenCheck, publishChannelKeys, signRequest } from './channel/request-tokens.ts';
export { isLoopback } from './channel/worker-proof.ts';
export { type CodeVersion, readCodeVersion, versionText } from './code-version.ts';
export { dataFolder } from './data-folder/data-folder.ts';
export { secureDataFolder } from './data-folder/secure-data-folder.ts';
export type { Database } from './database/database.ts';
export { connectOwner } from './database/database.ts';
export { withScope, withSystemScope, withTeamScope } from './database/database-scope.ts';
export { isDatabaseUnavailable, isRowLocked } from './database/database-unavailable.ts';
export { describeDatabase } from './database/describe-database.ts';
export { probeWrite } from './database/probe-write.ts';
export type { Page, TimeSpan } from './database/read-page.ts';
export { loadServiceEnv, type ServiceEnv } from './environment/env.ts';
export { withoutFileSecrets } from './environment/secret-files.ts';
export {
  createFile,
  deleteFile,
  type FileRecord,
  findFileByDigest,
  getFile,
  listFiles,
} from './files/file-records.ts';
export { GenerationError, generate } from './generation/generate.ts';
export { newId, randomText } from './ids.ts';
export {
  defaultUrls,
  type Integration,
  type IntegrationType,
  integrationTypes,
} from './integrations/integration.ts';
export {
  deleteIntegration,
  getIntegration,
  listIntegrations,
  putIntegration,
} from './integrations/manage-integrations.ts';
export { type IntegrationTimes, startIntegrationSender } from './integrations/send/integration-sender.ts';
export {
  type DataCounts,
  fineTunedModelName,
  type GpuReading,
  isTerminal,
  type Job,
  type JobAttempt,
  type JobError,
  type JobEstimate,
  type JobProgress,
  type JobRequirements,
  type JobState,
  type Lease,
  leaseOf,
  type Priority,
  priorities,
  priorityOf,
  type TrainingEnd,
  type ValidationProgress,
  wireStatus,
} from './jobs/job.ts';
export type { JobIntegrationRequest } from './jobs/job-integration.ts';
export { heartbeatJob, readJobFlags } from './jobs/leases/heartbeat-job.ts';
export { type JobMetric, recordMetrics, recordProgress } from './jobs/leases/job-metrics.ts';
export {
  type Checkpoint,
  listKeptCheckpoints,
  markCheckpointsDeleted,
  recordCheckpoint,
  resumeFromCheckpoint,
} from './jobs/leases/record-checkpoint.ts';
export {
  findCheckpointAdapter,
  keptCheckpointAdapters,
  recordCheckpointAdapter,
} from './jobs/leases/record-checkpoint-adapter.ts';
export { appendEvent, appendEventOnce } from './jobs/leases/write-under-lease.ts';
export type { JobEvent, NewJobEvent } from './jobs/records/job-event.ts';
export { type JobTrial, listTrials, recordTrials, type TrialState } from './jobs/records/job-trial.ts';
export { type ListedCheckpoint, listJobCheckpoints } from './jobs/records/list-job-checkpoints.ts';
export { listAttempts, listCheckpoints, listEvents } from './jobs/records/read-job-history.ts';
export { getJob, type JobFilter, listJobs, listJobsUnderWay } from './jobs/records/read-jobs.ts';
export {
  type MetricStretch,
  readMetricStretches,
  readMetrics,
  type StoredMetric,
  sampleLosses,
} from './jobs/records/read-metrics.ts';
export { type QueueForecast, readQueueForecast } from './jobs/records/read-queue-forecast.ts';
export { findValidationResult, keepValidationResult } from './jobs/records/validation-results.ts';
export { type JobChange, readJobChanges, type WatchedJob } from './jobs/records/watch-jobs.ts';
export { claimJob, claimNextJob } from './jobs/transitions/claim-job.ts';
export { createJob, type NewJob } from './jobs/transitions/create-job.ts';
export { deleteJob } from './jobs/transitions/delete-job.ts';
export { dispatchJobs, staleDispatched } from './jobs/transitions/dispatch-jobs.ts';
export { failJob } from './jobs/transitions/fail-job.ts';
export { publishAdapterVersion } from './jobs/transitions/publish-adapter-version.ts';
export { returnJob } from './jobs/transitions/return-job.ts';
export {
  cancelRunningJob,
  pauseRunningJob,
  type Release,
  releaseJob,
} from './jobs/transitions/stop-running-job.ts';
export { cancelJob, pauseJob, resumeJob, setJobPriority } from './jobs/transitions/user-requests.ts';
export {
  breakValidation,
  claimValidation,
  finishValidation,
  heartbeatValidation,
  releaseValidation,
  returnValidation,
  type ValidationOutcome,
} from './jobs/transitions/validate-job.ts';
export type { WorkerCapabilities } from './jobs/turns/can-claim.ts';
export { createQueuePlaces, type QueuePlace } from './jobs/turns/queue-positions.ts';
export { type Queue, readQueue } from './jobs/turns/read-queue.ts';
export { createApiKey, type NewApiKey } from './keys/create-api-key.ts';
export { maxKeySeconds } from './keys/limits-of-maker.ts';
export { type ApiKeyRecord, getApiKey, listApiKeys } from './keys/manage-api-keys.ts';
export {
  allowsJob,
  allowsModel,
  allowsNewVersion,
  type ModelLimit,
  namedWithin,
} from './keys/model-limit.ts';
export {
  createOperatorKey,
  listOperatorKeys,
  type OperatorKeyRecord,
  revokeOperatorKey,
} from './keys/operator-keys.ts';
export { type Revoked, revokeApiKey } from './keys/revoke-api-key.ts';
export { hasRole, type Role, roles } from './keys/roles.ts';
export { overlapSeconds, rotateApiKey } from './keys/rotate-api-key.ts';
export { allowsScope, type Scope, scopes } from './keys/scopes.ts';
export {
  findDeadKeys,
  type Identity,
  keyLapsed,
  type Operator,
  type Verified,
  verifyApiKey,
  verifyKey,
} from './keys/verify-api-key.ts';
export { createLogger } from './logger.ts';
export { collectDeleted, collectDeletedMs } from './maintenance/collect-deleted.ts';
export { collectLocal } from './maintenance/collect-local.ts';
export { startHousekeeping, startJobLoops } from './maintenance/job-loops.ts';
export { isDamage, reportCorruption } from './maintenance/report-corruption.ts';
export { instruments } from './observe/instruments.ts';
export { canReadMetrics, renderMetrics } from './observe/serve-metrics.ts';
export {
  contextOf,
  currentTraceparent,
  endSpan,
  inSpan,
  type Span,
  SpanKind,
  startSpan,
  under,
} from './observe/tracing.ts';
export { erasePerson } from './people/erase-person.ts';
export { findSubject, type IdentityRecord, listIdentities, unlinkIdentity } from './people/identities.ts';
export {
  acceptInvitation,
  acceptInvitationAs,
  createInvitation,
  type InvitationRecord,
  invitationSeconds,
  listInvitations,
  revokeInvitation,
} from './people/invitations.ts';
export {
  getMember,
  listMembers,
  type Member,
  putMember,
  removeMember,
  setMemberRole,
} from './people/memberships.ts';
export {
  createPerson,
  findPerson,
  listPeople,
  type PersonRecord,
  updatePerson,
} from './people/person-records.ts';
export { acquirePostgres } from './postgres/acquire-postgres.ts';
export { setLogins } from './postgres/app-login.ts';
export { ensureRoles } from './postgres/ensure-roles.ts';
export { findUser } from './postgres/run-as.ts';
export { openCountStore } from './rates/count-stores.ts';
export { openSharedCounts, type SharedCounts } from './rates/shared-counts.ts';
export { type Repeating, repeat } from './repeat.ts';
export * from './reports/file-reports.ts';
export { parseApiKey, parseOperatorKey } from './secrets/api-key.ts';
export { SecretRing } from './secrets/secret-ring.ts';
export type { Secrets } from './secrets/secrets.ts';
export { openServices, prepareDatabase, type Services } from './services.ts';
export { createKeySession, type NewSession, type SessionLimits } from './sessions/create-session.ts';
export { endProviderSessions, type ProviderLogout } from './sessions/end-provider-sessions.ts';
export {
  chooseTeam,
  endSession,
  endSessions,
  listSessions,
  pruneLogoutTokens,
  pruneSessions,
  type SessionHolder,
  type SessionRecord,
} from './sessions/manage-sessions.ts';
export {
  type GroupRules,
  listTeamsOfPerson,
  signInPerson,
  type Vouched,
} from './sessions/sign-in-person.ts';
export { findDeadSessions, type VerifiedSession, verifySession } from './sessions/verify-session.ts';
export { type SettingReader, settingReader } from './settings/read-settings.ts';
export type { AdapterFile, ArtifactStore } from './storage/artifact-store.ts';
export type { CheckpointStore } from './storage/checkpoint-store.ts';
export { copyUntrusted, type Expected, Unexpected } from './storage/disk/copy-untrusted.ts';
export { fsyncFolder, makeFolder } from './storage/disk/fsync-folder.ts';
export { receiveStaged } from './storage/disk/receive-staged.ts';
export { removeBelow } from './storage/disk/remove-below.ts';
export type { FileStore } from './storage/file-store.ts';
export { checkOwnDataFolder, probeDataFolder } from './storage/prove-data-folder.ts';
export { isStorageUnavailable, whenStorageIsBack } from './storage/storage-fault.ts';
export { deleteTeam, purgeDeletedTeams } from './teams/delete-team.ts';
export { ensureBootstrapKey } from './teams/ensure-bootstrap-key.ts';
export { type QuotaUse, readQuota, readQuotaUse, setQuota, type TeamQuota } from './teams/team-quota.ts';
export {
  createTeam,
  findTeam,
  maxRunning,
  maxWeight,
  readTeams,
  type Team,
  updateTeam,
} from './teams/team-records.ts';
export { checkJobQuota, type IncomingBytes, QuotaExceeded } from './teams/within-quota.ts';
export {
  claimSeconds,
  claimUpload,
  finishUpload,
  releaseClaim,
  renewClaim,
  type UploadClaim,
} from './uploads/complete-upload.ts';
export { expireUploads } from './uploads/expire-uploads.ts';
export { receiveBytes, receivePartBytes } from './uploads/incoming-bytes.ts';
export { maxPartBytes, maxParts, type Upload, type UploadPart } from './uploads/upload.ts';
export {
  addPart,
  cancelUpload,
  createUpload,
  getUpload,
  listParts,
  listUploads,
} from './uploads/upload-records.ts';
export {
  type Budget,
  type BudgetSettings,
  defaultBudget,
  readBudget,
  removeBudget,
  setBudget,
  watchBudgets,
} from './usage/budgets.ts';
export { checkUsage, maxDifferences, type UsageDifference } from './usage/check-usage.ts';
export {
  listPrices,
  maxPrices,
  type NewPrice,
  removePrice,
  setPrice,
  type UsagePrice,
} from './usage/prices.ts';
export {
  type DayUse,
  maxPageDays,
  maxUsageDays,
  readUsage,
  type UsageBucket,
  type UsageGroup,
  type UsagePage,
  type UsageQuery,
} from './usage/read-usage.ts';
export { type CompletionUse, recordCompletion } from './usage/record-usage.ts';
export { priceUnits, type UsageKind, usageKinds } from './usage/usage.ts';
export { startWebhookSender, type WebhookSettings } from './webhooks/deliver/webhook-sender.ts';
export { listDeliveries, resendDelivery, testWebhook } from './webhooks/deliveries.ts';
export {
  createWebhook,
  deleteWebhook,
  getWebhook,
  listWebhooks,
  rotateWebhookSecret,
  updateWebhook,
  type WithSecret,
} from './webhooks/manage-endpoints.ts';
export { SendLimitExceeded } from './webhooks/take-send.ts';
export {
  defaultWebhookEvents,
  deliveryStatuses,
  maxEndpoints,
  type WebhookDelivery,
  type WebhookEndpoint,
  type WebhookEvent,
  webhookEvents,
} from './webhooks/webhook.ts';
export { countWorkers, type WorkerCounts } from './workers/count-workers.ts';
export { type LiveMachine, liveMachines } from './workers/live-machines.ts';
export {
  listWorkers,
  setWorkerService,
  type WorkerLease,
  type WorkerRecord,
} from './workers/manage-workers.ts';
export {
  clearWorkerFaults,
  quarantineWorker,
  recordWorkerFault,
  type WorkerHealth,
} from './workers/worker-quarantine.ts';
export {
  heartbeatWorker,
  pickWorker,
  registerWorker,
  removeWorker,
  type WorkerInfo,
} from './workers/worker-registry.ts';
