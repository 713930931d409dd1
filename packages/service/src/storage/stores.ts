import type { ArtifactStore } from './artifact-store.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { FileStore } from './file-store.ts';

/** The stores of all bytes: all in the data folder, or all in one bucket. */
export interface Stores {
  files: FileStore;
  artifacts: ArtifactStore;
  exports: ArtifactStore;
  checkpoints: CheckpointStore;
  /** Frees the space of multipart uploads that started before `before` and were never finished. */
  abandonUploads(before: Date): Promise<number>;
  close(): void;
}
