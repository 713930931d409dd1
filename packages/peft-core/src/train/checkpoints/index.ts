/** Checkpoints of a job, for callers that store them. Loads no TensorFlow. */

export {
  chooseRetained,
  leaseFolder,
  openLocalCheckpoints,
  pruneLocalCheckpoints,
  removeOtherCheckpoints,
} from './keep-checkpoints.ts';
export {
  type CheckpointCandidate,
  describeCheckpoint,
  folderOfStep,
  folderOfTrial,
  InvalidCheckpoint,
  isCheckpointFile,
  isCheckpointFolder,
} from './manifest.ts';
export { MetricLog, type MetricSeries } from './metric-series.ts';
export { loadCheckpoint } from './read-checkpoint.ts';
export { writeCheckpoint } from './write-checkpoint.ts';
