import type { ArtifactStore } from './artifact-store.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { FileStore } from './file-store.ts';

/** Where the bytes are: all in the data folder, or all in one bucket. */
export interface Stores {
  files: FileStore;
  artifacts: ArtifactStore;
  checkpoints: CheckpointStore;
  /** Frees what uploads in parts hold that began before `before` and were never finished. */
  abandonUploads(before: Date): Promise<number>;
  close(): void;
}
