/** Checkpoints of a job, for callers that store them. Loads no TensorFlow. */

export {
  chooseKeepers,
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
  isCheckpointFile,
  isCheckpointFolder,
  Unusable,
} from './manifest.ts';
export { MetricLog, type MetricSeries } from './metric-series.ts';
export { adoptCheckpoint } from './read-checkpoint.ts';
export { writeCheckpoint } from './write-checkpoint.ts';
