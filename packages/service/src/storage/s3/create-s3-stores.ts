import type { Stores } from '../stores.ts';
import { LocalCache } from './local-cache.ts';
import { createS3ArtifactStore } from './s3-artifact-store.ts';
import { createS3CheckpointStore } from './s3-checkpoint-store.ts';
import { createS3FileStore } from './s3-file-store.ts';
import { S3Objects, type S3Place } from './s3-objects.ts';

/** Creates the stores of one bucket. `silence`: milliseconds without a byte from the server after which it counts as unavailable. */
export function createS3Stores(
  place: S3Place,
  dataDir: string,
  cacheBytes: number,
  options: { silence?: number } = {},
): Stores {
  const objects = new S3Objects(place, options);
  const cache = new LocalCache(dataDir, cacheBytes);
  return {
    files: createS3FileStore(objects, cache),
    artifacts: createS3ArtifactStore(objects, cache, dataDir),
    exports: createS3ArtifactStore(objects, cache, dataDir, 'exports'),
    checkpoints: createS3CheckpointStore(objects, cache, dataDir),
    abandonUploads: async (before) => await objects.abandonUploads(before),
    close: () => objects.close(),
  };
}
