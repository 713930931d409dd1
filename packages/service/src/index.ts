/** What API, worker and admin commands agree on. `services.ts` opens everything; `jobs/job.ts` holds the vocabulary. */
export type { Adapter, AdapterVersion } from './adapters/adapter.ts';
export { type AdapterTag, isTag, listTags, moveTag, removeTag } from './adapters/adapter-tags.ts';
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
  getAdapter,
  getAdapterVersion,
  listAdapters,
  listAdapterVersions,
  listFineTunedModels,
} from './adapters/read-adapters.ts';
export { type Lineage, readLineage } from './adapters/read-lineage.ts';
export { admitBaseModel, forgetBaseModel, listRecordedBaseModels } from './base-models/admit-base-model.ts';
export { baseModelFault, isLastingModelFault } from './base-models/base-model-fault.ts';
export type { BaseModelEntry, LocalBaseModel } from './base-models/catalogue.ts';
export type { Database } from './database/database.ts';
export { isDatabaseAway, isRowLocked } from './database/database-away.ts';
export { migrateDatabase } from './database/migrate-database.ts';
export { asSystem, asTeam, onBehalfOf } from './database/on-behalf-of.ts';
export { probeWrite } from './database/probe-write.ts';
export type { Page } from './database/read-page.ts';
export { loadServiceEnv, type ServiceEnv } from './env.ts';
export {
  createFile,
  deleteFile,
  type FileRecord,
  findFileByDigest,
  getFile,
  listFiles,
} from './files/file-records.ts';
export { GenerationError, generate } from './generation/generate.ts';
export { encodeLine, startReading } from './generation/lines.ts';
export {
  type GenerationEvent,
  type GenerationLine,
  type GenerationRequest,
  GenerationRequestSchema,
  generationPath,
  type Usage,
  UsageSchema,
} from './generation/protocol.ts';
export { newId, randomText } from './ids.ts';
export {
  fineTunedModelName,
  isTerminal,
  type Job,
  type JobAttempt,
  type JobError,
  type JobProgress,
  type JobRequirements,
  type JobState,
  type Lease,
  leaseOf,
  type TrainingEnd,
  type ValidationProgress,
  wireStatus,
} from './jobs/job.ts';
export { startJobLoops } from './jobs/job-loops.ts';
export { heartbeatJob, readJobFlags } from './jobs/leases/heartbeat-job.ts';
export { type JobMetric, recordMetrics, recordProgress } from './jobs/leases/job-metrics.ts';
export {
  type Checkpoint,
  giveUpCheckpoints,
  listKeptCheckpoints,
  recordCheckpoint,
  resumeFromCheckpoint,
} from './jobs/leases/record-checkpoint.ts';
export {
  findCheckpointAdapter,
  keptCheckpointAdapters,
  recordCheckpointAdapter,
} from './jobs/leases/record-checkpoint-adapter.ts';
export { appendEvent } from './jobs/leases/write-under-lease.ts';
export type { JobEvent, NewJobEvent } from './jobs/records/job-event.ts';
export { type ListedCheckpoint, listJobCheckpoints } from './jobs/records/list-job-checkpoints.ts';
export { listAttempts, listCheckpoints, listEvents } from './jobs/records/read-job-history.ts';
export { getJob, listJobs } from './jobs/records/read-jobs.ts';
export {
  type MetricStretch,
  readMetricStretches,
  readMetrics,
  type StoredMetric,
} from './jobs/records/read-metrics.ts';
export { type JobOutlook, readOutlook } from './jobs/records/read-outlook.ts';
export { findValidationResult, keepValidationResult } from './jobs/records/validation-results.ts';
export { type JobNews, readJobNews, type WatchedJob } from './jobs/records/watch-jobs.ts';
export { claimJob } from './jobs/transitions/claim-job.ts';
export { createJob, type NewJob } from './jobs/transitions/create-job.ts';
export { dispatchJobs, staleDispatched } from './jobs/transitions/dispatch-jobs.ts';
export { failJob } from './jobs/transitions/fail-job.ts';
export { publishAdapterVersion } from './jobs/transitions/publish-adapter-version.ts';
export { createQueuePositions } from './jobs/transitions/queue-positions.ts';
export { returnJob } from './jobs/transitions/return-job.ts';
export {
  cancelRunningJob,
  pauseRunningJob,
  type Release,
  releaseJob,
} from './jobs/transitions/stop-running-job.ts';
export { cancelJob, pauseJob, resumeJob } from './jobs/transitions/user-requests.ts';
export {
  breakValidation,
  claimValidation,
  finishValidation,
  heartbeatValidation,
  releaseValidation,
  returnValidation,
  type ValidationOutcome,
} from './jobs/transitions/validate-job.ts';
export { hasRole, type Role, roles } from './keys/api-key.ts';
export { createApiKey, type NewApiKey } from './keys/create-api-key.ts';
export { mostKeySeconds } from './keys/limits-of-maker.ts';
export { type ApiKeyRecord, getApiKey, listApiKeys, revokeApiKey } from './keys/manage-api-keys.ts';
export {
  createOperatorKey,
  listOperatorKeys,
  type OperatorKeyRecord,
  revokeOperatorKey,
} from './keys/operator-keys.ts';
export { overlapSeconds, rotateApiKey } from './keys/rotate-api-key.ts';
export { allowsModel, allowsScope, type Scope, scopes } from './keys/scopes.ts';
export {
  type Actor,
  findDeadKeys,
  type Identity,
  type Operator,
  type Verified,
  verifyApiKey,
  verifyKey,
} from './keys/verify-api-key.ts';
export { createLogger } from './logger.ts';
export { instruments } from './observe/instruments.ts';
export { mayReadMetrics, renderMetrics } from './observe/serve-metrics.ts';
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
export {
  acceptInvitation,
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
export { ensureRoles } from './postgres/ensure-roles.ts';
export { findUser } from './postgres/run-as.ts';
export { type Repeating, repeat } from './repeat.ts';
export {
  claimFileReport,
  type FileReport,
  finishFileReport,
  forgetFileReports,
  heartbeatFileReport,
  type ReportLease,
  releaseFileReport,
  requestFileReport,
} from './reports/file-reports.ts';
export type { Secrets } from './secrets.ts';
export { openServices, type Services } from './services.ts';
export type { ArtifactStore } from './storage/artifact-store.ts';
export type { CheckpointStore } from './storage/checkpoint-store.ts';
export { collectLocal } from './storage/collect-local.ts';
export { dataFolder } from './storage/data-folder.ts';
export { receiveStaged } from './storage/disk/receive-staged.ts';
export type { FileStore } from './storage/file-store.ts';
export { checkOwnDataFolder, probeDataFolder } from './storage/prove-data-folder.ts';
export { isDamage, reportCorruption } from './storage/report-corruption.ts';
export { secureDataFolder } from './storage/secure-data-folder.ts';
export { isStorageAway, whenStorageIsBack } from './storage/storage-fault.ts';
export { deleteTeam, purgeDeletedTeams } from './teams/delete-team.ts';
export { ensureBootstrapKey } from './teams/ensure-bootstrap-key.ts';
export {
  createTeam,
  findTeam,
  listTeams,
  mostRunning,
  readTeams,
  type Team,
  updateTeam,
} from './teams/team-records.ts';
export {
  claimSeconds,
  claimUpload,
  finishUpload,
  releaseClaim,
  renewClaim,
  type UploadClaim,
} from './uploads/complete-upload.ts';
export { expireUploads } from './uploads/expire-uploads.ts';
export { mostPartBytes, mostParts, type Upload, type UploadPart } from './uploads/upload.ts';
export {
  addPart,
  cancelUpload,
  createUpload,
  getUpload,
  listParts,
  listUploads,
} from './uploads/upload-records.ts';
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
export {
  defaultWebhookEvents,
  deliveryStatuses,
  mostEndpoints,
  type WebhookDelivery,
  type WebhookEndpoint,
  type WebhookEvent,
  webhookEvents,
} from './webhooks/webhook.ts';
export { listWorkers, setWorkerService, type WorkerRecord } from './workers/manage-workers.ts';
export {
  clearWorkerFaults,
  quarantineWorker,
  recordWorkerFault,
  type WorkerHealth,
} from './workers/worker-quarantine.ts';
export {
  heartbeatWorker,
  registerWorker,
  removeWorker,
  type WorkerCapabilities,
} from './workers/worker-registry.ts';
