import type { Checkpoint as CheckpointRow } from '../../generated/client.ts';

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

export function checkpointOf({ teamId: _, metrics, bytes, ...columns }: CheckpointRow): Checkpoint {
  return { ...columns, metrics: metrics as Checkpoint['metrics'], bytes: Number(bytes) };
}
