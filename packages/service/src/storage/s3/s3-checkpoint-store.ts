import { access, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { checkpointFolder } from '../../data-folder/data-folder.ts';
import { untilAborted } from '../../until-aborted.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import { describeFolder } from '../disk/describe-folder.ts';
import { digestFile } from '../disk/file-digests.ts';
import { fsyncUpTo, makeFolder } from '../disk/fsync-folder.ts';
import { onStorage } from '../storage-fault.ts';
import type { LocalCache } from './local-cache.ts';
import type { S3Objects } from './s3-objects.ts';
import { fetchFolder, putFolder, readListing, removeFolder } from './transfer.ts';

class Damaged extends Error {}
const damaged = () => new Damaged('The stored checkpoint is damaged.');

/** Stores checkpoints as objects, in addition to the local folders that trainers write and read. */
export function createS3CheckpointStore(
  objects: S3Objects,
  cache: LocalCache,
  dataDir: string,
): CheckpointStore {
  return {
    put: async (key, signal) => {
      const folder = checkpointFolder(dataDir, key);
      const files = await onStorage(() =>
        describeFolder(folder, (file) => digestFile(file, { ...(signal && { signal }) })),
      );
      await untilAborted(putFolder(objects, key, folder, files, signal), signal);
    },
    fetch: async (key) => {
      const folder = checkpointFolder(dataDir, key);
      const isHere = await access(folder).then(
        () => true,
        () => false,
      );
      if (isHere) return folder;
      return await onStorage(async () => {
        const draft = await cache.draft();
        try {
          const listing = await readListing(objects, key, damaged);
          if (!listing) return null;
          await fetchFolder(objects, key, listing.files, draft, { corrupt: damaged, missing: damaged });
          await makeFolder(path.dirname(folder), dataDir);
          await rename(draft, folder);
          await fsyncUpTo(path.dirname(folder), dataDir);
          return folder;
        } catch (error) {
          if (error instanceof Damaged) return null;
          throw error;
        } finally {
          await rm(draft, { recursive: true, force: true });
        }
      });
    },
    remove: async (key) => {
      const folder = checkpointFolder(dataDir, key);
      await removeFolder(objects, key);
      await onStorage(() => rm(folder, { recursive: true, force: true }));
    },
    jobs: () => objects.folders('checkpoints/'),
  };
}
