import { access, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { checkpointFolder } from '../../data-folder/data-folder.ts';
import { untilAborted } from '../../until-aborted.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import { describeFolder } from '../disk/describe-folder.ts';
import { receiveChunks } from '../disk/disk-file-store.ts';
import { digested, digestFile, FileDigests, readDigested } from '../disk/file-digests.ts';
import { fsyncUpTo, makeFolder } from '../disk/fsync-folder.ts';
import type { FileStore, StoredFile } from '../file-store.ts';
import { checkFileName, createdAtOf, newFileName } from '../object-name.ts';
import { fileCorrupt, fileMissing, onStorage } from '../storage-fault.ts';
import type { Stores } from '../stores.ts';
import { throttled } from '../throttled.ts';
import { LocalCache } from './local-cache.ts';
import { createS3ArtifactStore } from './s3-artifact-store.ts';
import { S3Objects, type S3Place } from './s3-objects.ts';
import { fetchFile, fetchFolder, putFolder, readListing, removeFolder } from './transfer.ts';

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

class Damaged extends Error {}
const damaged = () => new Damaged('The stored checkpoint is damaged.');

/** Stores checkpoints as objects, in addition to the local folders that trainers write and read. */
function createS3CheckpointStore(objects: S3Objects, cache: LocalCache, dataDir: string): CheckpointStore {
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

const root = 'files/';
const faults = { corrupt: fileCorrupt, missing: fileMissing };

/** Stores files as objects. Reads go through the cache, so files are verified before their first byte is returned. */
function createS3FileStore(objects: S3Objects, cache: LocalCache): FileStore {
  const digests = new FileDigests();
  const keyOf = (name: string) => `${root}${checkFileName(name).slice(0, 2)}/${name}`;

  async function entryOf(file: StoredFile): Promise<string> {
    const { path: name, sha256, bytes } = file;
    const fetched = async () =>
      await cache.get('files', sha256, bytes, (draft) =>
        fetchFile(objects, keyOf(name), file, draft, faults),
      );
    const entry = await fetched();
    if ((await onStorage(() => digests.of(entry))).sha256 === sha256) return entry;
    // The local copy is damaged, not the object.
    await cache.drop(entry);
    return await fetched();
  }

  return {
    open: async (file, range) => {
      const entry = await entryOf(file);
      return await onStorage(() => readDigested(entry, file, range, fileCorrupt));
    },
    // The cache keeps entries that were used recently.
    pathForNow: entryOf,
    localPath: async (file, jobId) => await cache.hold(await entryOf(file), jobId),
    verify: async (file, options) => {
      const stream = await objects.get(keyOf(file.path));
      if (!stream) throw fileMissing();
      for await (const _ of digested(throttled(stream, options), file, fileCorrupt));
    },
    remove: async (name) => await objects.remove(keyOf(name)),
    receive: async (stream, options) => {
      const name = newFileName();
      const received = receiveChunks(stream, options);
      try {
        await objects.put(keyOf(name), received.chunks);
      } catch (error) {
        // The upload may have succeeded although the response was lost.
        await objects.remove(keyOf(name)).catch(() => {});
        throw error;
      }
      return { path: name, ...received.result() };
    },
    list: async function* () {
      for await (const { key, storedAt } of objects.list(root)) {
        const name = key.slice(key.lastIndexOf('/') + 1);
        yield { name, storedAt: createdAtOf(name) ?? storedAt };
      }
    },
  };
}
