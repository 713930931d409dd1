import { receiveChunks } from '../disk/disk-file-store.ts';
import { digested, FileDigests, readDigested } from '../disk/file-digests.ts';
import type { FileStore, StoredFile } from '../file-store.ts';
import { checkFileName, createdAtOf, newFileName } from '../object-name.ts';
import { fileCorrupt, fileMissing, onStorage } from '../storage-fault.ts';
import { throttled } from '../throttled.ts';
import type { LocalCache } from './local-cache.ts';
import type { S3Objects } from './s3-objects.ts';
import { fetchFile } from './transfer.ts';

const root = 'files/';
const faults = { corrupt: fileCorrupt, missing: fileMissing };

/** Stores files as objects. Reads go through the cache, so files are verified before their first byte is returned. */
export function createS3FileStore(objects: S3Objects, cache: LocalCache): FileStore {
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
