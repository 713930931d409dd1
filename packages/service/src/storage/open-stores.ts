import { access, opendir, rm } from 'node:fs/promises';
import path from 'node:path';
import { checkpointFolder, dataFolder } from '../data-folder/data-folder.ts';
import type { ServiceEnv } from '../environment/env.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { createDiskArtifactStore } from './disk/disk-artifact-store.ts';
import { createDiskFileStore } from './disk/disk-file-store.ts';
import { onStorage } from './storage-fault.ts';
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

/** Uses the data folder as the store: every machine sees what a trainer has written there. */
function createDiskCheckpointStore(dataDir: string): CheckpointStore {
  const folderOf = (key: string) => checkpointFolder(dataDir, key);
  return {
    put: async (key) => await onStorage(() => access(folderOf(key))),
    fetch: async (key) => {
      const folder = folderOf(key);
      return await onStorage(() => access(folder)).then(
        () => folder,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT') return null;
          throw error;
        },
      );
    },
    remove: async (key) => await onStorage(() => rm(folderOf(key), { recursive: true, force: true })),
    jobs: () => namesIn(dataFolder(dataDir).checkpoints),
  };
}

/** Yields the names in a folder; none if it does not exist. */
async function* namesIn(folder: string): AsyncGenerator<string> {
  const entries = await opendir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return [];
  });
  for await (const { name } of entries) yield path.basename(name);
}
