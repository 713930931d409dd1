import type { ServiceEnv } from '../environment/env.ts';
import { createDiskArtifactStore } from './disk/disk-artifact-store.ts';
import { createDiskCheckpointStore } from './disk/disk-checkpoint-store.ts';
import { createDiskFileStore } from './disk/disk-file-store.ts';
import type { Stores } from './stores.ts';

type StoresEnv = Pick<ServiceEnv, 'dataDir' | 'artifactsUrl' | 's3Endpoint' | 'storageCacheBytes'>;

/** The stores that `ARTIFACTS_URL` names. Asks nothing of them yet. */
export async function openStores(env: StoresEnv): Promise<Stores> {
  const { dataDir, artifactsUrl } = env;
  if (artifactsUrl === undefined) {
    return {
      files: createDiskFileStore(dataDir),
      artifacts: createDiskArtifactStore(dataDir),
      checkpoints: createDiskCheckpointStore(dataDir),
      abandonUploads: async () => 0,
      close: () => {},
    };
  }
  // The client of S3 is loaded by those alone who use it.
  const { createS3Stores } = await import('./s3/create-s3-stores.ts');
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(artifactsUrl) ?? [];
  const prefix = path === '' ? '' : `${path}/`;
  return createS3Stores({ bucket, prefix, endpoint: env.s3Endpoint }, dataDir, env.storageCacheBytes);
}
