export interface Checkpoint {
  id: string;
  jobId: string;
  step: number;
  metrics: {
    trainLoss?: number | null;
    trainTokenAccuracy?: number | null;
    validationLoss?: number | null;
    validationTokenAccuracy?: number | null;
  };
  /** Relative to the data folder; only the newest two folders of a job are kept. */
  path: string;
  bytes: number;
  createdAt: Date;
}

/** Select list that yields a row of type `Checkpoint` from `checkpoints`. */
export const checkpointColumns =
  'id, job_id AS "jobId", step, metrics, path, bytes::float8 AS bytes, created_at AS "createdAt"';
