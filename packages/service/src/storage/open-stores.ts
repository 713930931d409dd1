import type { ServiceEnv } from '../environment/env.ts';
import { createDiskArtifactStore } from './disk/disk-artifact-store.ts';
import { createDiskCheckpointStore } from './disk/disk-checkpoint-store.ts';
import { createDiskFileStore } from './disk/disk-file-store.ts';
import type { Stores } from './stores.ts';

type StoresEnv = Pick<ServiceEnv, 'dataDir' | 'artifactsUrl' | 's3Endpoint' | 'storageCacheBytes'>;

/** Opens the stores that `ARTIFACTS_URL` selects, without accessing them yet. */
export async function openStores(env: StoresEnv): Promise<Stores> {
  const { dataDir, artifactsUrl } = env;
  if (artifactsUrl === undefined) {
    return {
      files: createDiskFileStore(dataDir),
      artifacts: createDiskArtifactStore(dataDir),
      exports: createDiskArtifactStore(dataDir, 'exports'),
      checkpoints: createDiskCheckpointStore(dataDir),
      abandonUploads: async () => 0,
      close: () => {},
    };
  }
  // Loads the S3 client only when it is needed.
  const { createS3Stores } = await import('./s3/create-s3-stores.ts');
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(artifactsUrl) ?? [];
  const prefix = path === '' ? '' : `${path}/`;
  return createS3Stores({ bucket, prefix, endpoint: env.s3Endpoint }, dataDir, env.storageCacheBytes);
}
