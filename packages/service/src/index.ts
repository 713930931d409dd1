/** What API, worker and admin commands agree on. `services.ts` opens everything; `jobs/job.ts` holds the vocabulary. */
export type { Adapter, AdapterFile, AdapterVersion } from './adapters/adapter.ts';
export { deleteFineTunedModel } from './adapters/delete-fine-tuned-model.ts';
export {
  findFineTunedModel,
  getAdapter,
  getAdapterVersion,
  listAdapters,
  listAdapterVersions,
  listFineTunedModels,
} from './adapters/read-adapters.ts';
export { type AuditEntry, insertAudit } from './audit/insert-audit.ts';
export { baseModelFault, isLastingModelFault } from './base-models/base-model-fault.ts';
export type { BaseModelCatalogue, BaseModelEntry, LocalBaseModel } from './base-models/catalogue.ts';
export type { Database } from './database/database.ts';
export { inTransaction } from './database/in-transaction.ts';
export { migrateDatabase } from './database/migrate-database.ts';
export type { Page } from './database/read-page.ts';
export { runExclusive } from './database/run-exclusive.ts';
export { withTeam } from './database/with-team.ts';
export { loadServiceEnv, type ServiceEnv } from './env.ts';
export {
  createFile,
  deleteFile,
  type FileRecord,
  getFile,
  listFiles,
  type NewFile,
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
export { type IdKind, newId, randomText } from './ids.ts';
export { appendEvent } from './jobs/append-event.ts';
export { attemptLimit } from './jobs/attempt-limit.ts';
export { cancelJob } from './jobs/cancel-job.ts';
export { cancelRunningJob } from './jobs/cancel-running-job.ts';
export type { Checkpoint } from './jobs/checkpoint.ts';
export { claimJob } from './jobs/claim-job.ts';
export { claimValidation } from './jobs/claim-validation.ts';
export { createJob, type NewJob } from './jobs/create-job.ts';
export { dispatchJobs } from './jobs/dispatch-jobs.ts';
export { failJob } from './jobs/fail-job.ts';
export { finishValidation, type ValidationOutcome } from './jobs/finish-validation.ts';
export { heartbeatJob } from './jobs/heartbeat-job.ts';
export {
  fineTunedModelName,
  isTerminal,
  type Job,
  type JobError,
  type JobProgress,
  type JobState,
  jobStates,
  type Lease,
  leaseOf,
  type WireStatus,
  wireStatus,
} from './jobs/job.ts';
export type { JobEvent, NewJobEvent } from './jobs/job-event.ts';
export { startJobLoops } from './jobs/job-loops.ts';
export { pauseJob } from './jobs/pause-job.ts';
export { pauseRunningJob } from './jobs/pause-running-job.ts';
export { type NewAdapterVersion, publishAdapterVersion } from './jobs/publish-adapter-version.ts';
export { readJobFlags } from './jobs/read-job-flags.ts';
export { eventsAfter, listCheckpoints, listEvents, listMetrics } from './jobs/read-job-history.ts';
export { getJob, listJobs, queuePosition } from './jobs/read-jobs.ts';
export { type NewCheckpoint, recordCheckpoint } from './jobs/record-checkpoint.ts';
export { type JobMetric, recordMetrics } from './jobs/record-metrics.ts';
export { recordProgress } from './jobs/record-progress.ts';
export { releaseJob } from './jobs/release-job.ts';
export { resumeFromStep } from './jobs/resume-from-step.ts';
export { resumeJob } from './jobs/resume-job.ts';
export { staleDispatched } from './jobs/stale-dispatched.ts';
export { sweepExpiredLeases } from './jobs/sweep-expired-leases.ts';
export { parseApiKey, type Role, roles } from './keys/api-key.ts';
export { createApiKey, type NewApiKey } from './keys/create-api-key.ts';
export { type ApiKeyRecord, listApiKeys, revokeApiKey } from './keys/manage-api-keys.ts';
export { type Identity, verifyApiKey } from './keys/verify-api-key.ts';
export { createLogger } from './logger.ts';
export { acquirePostgres } from './postgres/acquire-postgres.ts';
export type { JobQueue } from './queue/job-queue.ts';
export type { Secrets } from './secrets.ts';
export { type OpenOptions, openServices, type Services } from './services.ts';
export type { ArtifactStore } from './storage/artifact-store.ts';
export { collectGarbage } from './storage/collect-garbage.ts';
export type { FileStore } from './storage/file-store.ts';
export { ensureBootstrapKey } from './teams/ensure-bootstrap-key.ts';
export { createTeam, findTeam, listTeams, type Team } from './teams/team-records.ts';
export {
  heartbeatWorker,
  registerWorker,
  removeWorker,
  type WorkerInfo,
  type WorkerStatus,
} from './workers/worker-registry.ts';
