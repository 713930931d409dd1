import { join } from 'node:path';

/** Where the checkpoints of a job live, across attempts. */
export function checkpointFolder(dataDir: string, jobId: string): string {
  return join(dataDir, 'checkpoints', jobId);
}
