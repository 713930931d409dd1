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
} from './job.ts';
export {
  dataFilesOf,
  epochOf,
  filesOfJob,
  findJobFile,
  type JobFile,
  type JobFiles,
  mixtureOfJob,
  readJobFiles,
} from './job-files.ts';
export { heartbeatJob, readJobFlags } from './leases/heartbeat-job.ts';
export { type JobMetric, recordKnownRate, recordMetrics, recordProgress } from './leases/job-metrics.ts';
export {
  type Checkpoint,
  listKeptCheckpoints,
  markCheckpointsDeleted,
  recordCheckpoint,
  resumeFromCheckpoint,
} from './leases/record-checkpoint.ts';
export {
  findCheckpointAdapter,
  keptCheckpointAdapters,
  recordCheckpointAdapter,
} from './leases/record-checkpoint-adapter.ts';
export { appendEvent, appendEventOnce } from './leases/write-under-lease.ts';
export type { JobEvent, NewJobEvent } from './records/job-event.ts';
export { type JobTrial, listTrials, recordTrials, type TrialState } from './records/job-trial.ts';
export * from './records/list-job-checkpoints.ts';
export * from './records/read-job-history.ts';
export * from './records/read-jobs.ts';
export {
  type MetricStretch,
  readMetricStretches,
  readMetrics,
  type StoredMetric,
  sampleLosses,
} from './records/read-metrics.ts';
export * from './records/read-queue-forecast.ts';
export { findValidationResult, keepValidationResult } from './records/validation-results.ts';
export * from './records/watch-jobs.ts';
export * from './transitions/claim-job.ts';
export { createJob, type NewJob } from './transitions/create-job.ts';
export * from './transitions/delete-job.ts';
export { dispatchJobs, staleDispatched } from './transitions/dispatch-jobs.ts';
export { failJob } from './transitions/fail-job.ts';
export { publishAdapterVersion } from './transitions/publish-adapter-version.ts';
export { returnJob } from './transitions/return-job.ts';
export * from './transitions/stop-running-job.ts';
export * from './transitions/user-requests.ts';
export {
  breakValidation,
  claimValidation,
  finishValidation,
  heartbeatValidation,
  releaseValidation,
  returnValidation,
  type ValidationOutcome,
} from './transitions/validate-job.ts';
export type { WorkerCapabilities } from './turns/can-claim.ts';
export { createQueuePlaces, type QueuePlace, type QueuePlaces } from './turns/queue-positions.ts';
export { type Queue, readQueue } from './turns/read-queue.ts';
