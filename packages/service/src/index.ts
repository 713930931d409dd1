/** Code that API, worker and admin commands share. `services.ts` opens all services; `jobs/job.ts` defines the vocabulary. */
export type { Adapter, AdapterTag, AdapterVersion } from './adapters/adapter.ts';
export { isTag, listTags, moveTag, removeTag } from './adapters/adapter-tags.ts';
export type { CheckpointAdapter } from './adapters/checkpoint-adapter.ts';
export * from './adapters/checkpoint-adapters.ts';
export * from './adapters/compare-versions.ts';
export {
  deleteFineTunedModel,
  deleteVersions,
  listDeletedVersions,
  restorableUntil,
  restoreVersion,
} from './adapters/delete-adapters.ts';
export * from './adapters/notes.ts';
export * from './adapters/publish-upload.ts';
export * from './adapters/read-adapters.ts';
export * from './adapters/read-lineage.ts';
export { type Actor, requesterOf } from './audit/actor.ts';
export { type AuditedDownload, createDownloadAudit } from './audit/audit-downloads.ts';
export { startAuditExporter } from './audit/export/audit-exporter.ts';
export { type AuditRecord, exportAudit, listAudit } from './audit/read-audit.ts';
export { type AuditCheck, type AuditHead, listAuditHeads, verifyAudit } from './audit/verify-audit.ts';
export type { AddedModel } from './base-models/added/added-model.ts';
export * from './base-models/added/manage-added-models.ts';
export { startModelFetcher } from './base-models/added/model-fetcher.ts';
export {
  type AccessChange,
  changeModelAccess,
  type ModelAccess,
  readAccess,
} from './base-models/added/model-permissions.ts';
export { admitBaseModel, forgetBaseModel } from './base-models/admit-base-model.ts';
export * from './base-models/base-model-fault.ts';
export {
  type BaseModelEntry,
  type ConfiguredEntry,
  checkPermitted,
  type LocalBaseModel,
} from './base-models/catalogue.ts';
export { encodeLine, startReading } from './channel/lines.ts';
export * from './channel/own-certificate.ts';
export * from './channel/protocol.ts';
export * from './channel/request-tokens.ts';
export * from './channel/score-protocol.ts';
export { isLoopback } from './channel/worker-proof.ts';
export * from './code-version.ts';
export { dataFolder } from './data-folder/data-folder.ts';
export * from './data-folder/secure-data-folder.ts';
export type { Database } from './database/database.ts';
export { connectOwner } from './database/database.ts';
export { withReaderConnections, withSystemScope, withTeamScope } from './database/database-scope.ts';
export * from './database/database-unavailable.ts';
export * from './database/describe-database.ts';
export * from './database/probe-write.ts';
export type { Page, TimeSpan } from './database/read-page.ts';
export { waitForRow, withWaits } from './database/wait-for-row.ts';
export type { DeployTarget } from './deploy/deploy-target.ts';
export { type DeployLeftover, dismissLeftover, listLeftovers } from './deploy/leftovers.ts';
export {
  createDeployTarget,
  type DeployTargetChanges,
  deleteDeployTarget,
  getDeployTarget,
  listDeployTargets,
  type NewDeployTarget,
  retryDeployTarget,
  updateDeployTarget,
} from './deploy/manage-targets.ts';

export { startDeploySender } from './deploy/send/deploy-sender.ts';
export * from './environment/env.ts';
export { globToRegExp } from './environment/hub-glob.ts';
export { memoryLimit } from './environment/memory-limit.ts';
export { withoutFileSecrets } from './environment/secret-files.ts';
export * from './environment/thread-plan.ts';
export * from './exports/change-export.ts';
export { createExport, maxOpenExports, type NewExport } from './exports/create-export.ts';
export { expireExports } from './exports/expire-exports.ts';
export type { AdapterExport, ExportLease } from './exports/export.ts';
export * from './exports/export-lease.ts';
export * from './exports/read-exports.ts';
export {
  createFile,
  deleteFile,
  type FileRecord,
  findFileByDigest,
  getFile,
  listFiles,
} from './files/file-records.ts';
export { GenerationError } from './generation/ask-workers.ts';
export * from './generation/generate.ts';
export { newId, randomText } from './ids.ts';
export type { Integration } from './integrations/integration.ts';
export {
  deleteIntegration,
  getIntegration,
  listIntegrations,
  putIntegration,
} from './integrations/manage-integrations.ts';
export * from './integrations/send/integration-sender.ts';
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
  type JobState,
  type JobTrainingFile,
  type JobValidationFile,
  type Lease,
  leaseOf,
  priorityOf,
  type ValidationProgress,
  wireStatus,
} from './jobs/job.ts';
export {
  dataFilesOf,
  epochOf,
  filesOfJob,
  findJobFile,
  type JobFile,
  type JobFiles,
  mixtureOfJob,
  readJobFiles,
} from './jobs/job-files.ts';

export { heartbeatJob, readJobFlags } from './jobs/leases/heartbeat-job.ts';
export { type JobMetric, recordKnownRate, recordMetrics, recordProgress } from './jobs/leases/job-metrics.ts';
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
export * from './jobs/records/list-job-checkpoints.ts';
export * from './jobs/records/read-job-history.ts';
export * from './jobs/records/read-jobs.ts';
export {
  type MetricStretch,
  readMetricStretches,
  readMetrics,
  type StoredMetric,
  sampleLosses,
} from './jobs/records/read-metrics.ts';
export * from './jobs/records/read-queue-forecast.ts';
export { findValidationResult, keepValidationResult } from './jobs/records/validation-results.ts';
export * from './jobs/records/watch-jobs.ts';
export * from './jobs/transitions/claim-job.ts';
export { createJob, type NewJob } from './jobs/transitions/create-job.ts';
export * from './jobs/transitions/delete-job.ts';
export { dispatchJobs, staleDispatched } from './jobs/transitions/dispatch-jobs.ts';
export { failJob } from './jobs/transitions/fail-job.ts';
export { publishAdapterVersion } from './jobs/transitions/publish-adapter-version.ts';
export { returnJob } from './jobs/transitions/return-job.ts';
export * from './jobs/transitions/stop-running-job.ts';
export * from './jobs/transitions/user-requests.ts';
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
export { createQueuePlaces, type QueuePlace, type QueuePlaces } from './jobs/turns/queue-positions.ts';
export { type Queue, readQueue } from './jobs/turns/read-queue.ts';
export { createApiKey, type NewApiKey } from './keys/create-api-key.ts';

export { type ListedExit, listExits } from './keys/list-exits.ts';
export { type ApiKeyRecord, getApiKey, listApiKeys } from './keys/manage-api-keys.ts';
export {
  allowsJob,
  allowsModel,
  allowsNewVersion,
  type ModelLimit,
  namedWithin,
} from './keys/model-limit.ts';
export * from './keys/operator-keys.ts';
export { previewRevocation, type Revoked, revokeApiKey } from './keys/revoke-api-key.ts';
export { hasRole } from './keys/roles.ts';
export * from './keys/rotate-api-key.ts';
export { allowsScope } from './keys/scopes.ts';
export { findDeadKeys, type Identity, keyLapsed, type Operator, verifyKey } from './keys/verify-api-key.ts';
export * from './logger.ts';
export * from './maintenance/collect-deleted.ts';
export * from './maintenance/collect-local.ts';
export * from './maintenance/job-loops.ts';
export { isDamage, reportCorruption } from './maintenance/report-corruption.ts';
export { instruments } from './observe/instruments.ts';
export { canReadMetrics, renderMetrics } from './observe/serve-metrics.ts';
export { contextOf, endSpan, inSpan, type Span, SpanKind, startSpan, under } from './observe/tracing.ts';
export * from './people/erase-person.ts';
export * from './people/identities.ts';
export {
  acceptInvitation,
  acceptInvitationAs,
  createInvitation,
  type InvitationRecord,
  listInvitations,
  revokeInvitation,
} from './people/invitations.ts';
export {
  listMembers,
  type Member,
  putMember,
  type RemovedMember,
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
export * from './postgres/acquire-postgres.ts';
export { setLogins } from './postgres/app-login.ts';
export * from './postgres/ensure-roles.ts';
export { findUser } from './postgres/run-as.ts';
export * from './publications/manage-publications.ts';
export type { Publication } from './publications/publication.ts';
export {
  getPublishingRules,
  type PublishingRules,
  setPublishingRules,
} from './publications/publishing-rules.ts';
export { type PublicationTimes, startPublicationSender } from './publications/send/publication-sender.ts';
export * from './rates/count-stores.ts';
export { openSharedCounts, type SharedCounts } from './rates/shared-counts.ts';
export * from './repeat.ts';
export * from './reports/file-reports.ts';
export { parseApiKey, parseOperatorKey } from './secrets/api-key.ts';
export { SecretRing } from './secrets/secret-ring.ts';
export type { Secrets } from './secrets/secrets.ts';
export { openServices, prepareDatabase, type Services } from './services.ts';
export { createKeySession, type SessionLimits } from './sessions/create-session.ts';
export * from './sessions/end-provider-sessions.ts';
export * from './sessions/manage-sessions.ts';
export * from './sessions/sign-in-person.ts';
export * from './sessions/verify-session.ts';
export { setupSettings } from './settings/basics.ts';
export { servingSettings, workerSettings } from './settings/jobs.ts';
export { type SettingReader, type SettingsOf, settingReader } from './settings/read-settings.ts';
export type { AdapterFile, ArtifactStore } from './storage/artifact-store.ts';
export * from './storage/checkpoint-store.ts';
export * from './storage/disk/copy-untrusted.ts';
export { fsyncFolder, makeFolder } from './storage/disk/fsync-folder.ts';
export * from './storage/disk/receive-staged.ts';
export * from './storage/disk/remove-below.ts';
export type { FileStore } from './storage/file-store.ts';
export { checkOwnDataFolder, probeDataFolder } from './storage/prove-data-folder.ts';
export { isStorageUnavailable, toStorageFault, whenStorageIsBack } from './storage/storage-fault.ts';
export * from './teams/delete-team.ts';
export * from './teams/ensure-bootstrap-key.ts';
export { type QuotaUse, readQuota, readQuotaUse, setQuota, type TeamQuota } from './teams/team-quota.ts';
export * from './teams/team-records.ts';
export { checkJobQuota, type IncomingBytes, QuotaExceeded } from './teams/within-quota.ts';
export * from './until-aborted.ts';
export * from './uploads/complete-upload.ts';
export * from './uploads/expire-uploads.ts';
export * from './uploads/incoming-bytes.ts';
export type { Upload, UploadPart } from './uploads/upload.ts';
export {
  addPart,
  cancelUpload,
  createUpload,
  getUpload,
  listParts,
  listUploads,
} from './uploads/upload-records.ts';
export * from './usage/budgets.ts';
export * from './usage/check-usage.ts';
export * from './usage/prices.ts';
export {
  type DayUse,
  readUsage,
  type UsageBucket,
  type UsagePage,
  type UsageQuery,
} from './usage/read-usage.ts';
export { recordCompletion } from './usage/record-usage.ts';
export { priceUnits } from './usage/usage.ts';
export * from './webhooks/deliver/webhook-sender.ts';
export { listDeliveries, resendDelivery, testWebhook } from './webhooks/deliveries.ts';
export * from './webhooks/manage-endpoints.ts';
export { SendLimitExceeded } from './webhooks/take-send.ts';
export type { WebhookDelivery, WebhookEndpoint } from './webhooks/webhook.ts';
export * from './workers/count-workers.ts';
export * from './workers/live-machines.ts';
export * from './workers/manage-workers.ts';
export * from './workers/worker-quarantine.ts';
export {
  heartbeatWorker,
  pickWorker,
  registerWorker,
  removeWorker,
  type WorkerInfo,
} from './workers/worker-registry.ts';
