import { createHash } from 'node:crypto';
import { access, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '@graft/peft-core/config';
import { dataFolder } from '../../data-folder/data-folder.ts';
import type { FileStore, StoredFile } from '../file-store.ts';
import { checkFileName, newFileName } from '../object-name.ts';
import { fileCorrupt, fileMissing, onStorage, throwIfMissing } from '../storage-fault.ts';
import { digestFile, FileDigests, readDigested } from './file-digests.ts';
import { fsyncUpTo, makeFolder } from './fsync-folder.ts';
import { listObjects } from './list-objects.ts';

export function createDiskFileStore(dataDir: string): FileStore {
  const folder = dataFolder(dataDir);
  const digests = new FileDigests();
  // Keys come from rows written by `receive`, never from a request; `checkFileName` guards against mistakes.
  const locate = (key: string) => folder.file(checkFileName(key));

  async function verified(file: StoredFile): Promise<string> {
    const local = locate(file.path);
    return await onStorage(async () => {
      await access(local).catch((error) => throwIfMissing(error, fileMissing));
      const { sha256 } = await (file.corruptAt ? digestFile(local) : digests.of(local));
      if (sha256 !== file.sha256) throw fileCorrupt();
      return local;
    });
  }

  return {
    localPath: verified,
    pathForNow: verified,
    open: async (file, range) => {
      const local = await verified(file);
      return await onStorage(() => readDigested(local, file, range, fileCorrupt));
    },
    verify: async (file, options) => {
      const local = locate(file.path);
      const { sha256 } = await onStorage(() => digestFile(local, options)).catch((error) =>
        throwIfMissing(error, fileMissing),
      );
      if (sha256 !== file.sha256) throw fileCorrupt();
    },
    remove: async (key) => await onStorage(() => rm(locate(key), { force: true })),
    receive: async (stream, options) =>
      await onStorage(async () => {
        const key = newFileName();
        const target = locate(key);
        const draft = path.join(folder.incoming, key);
        await makeFolder(folder.incoming, dataDir);
        await makeFolder(path.dirname(target), dataDir);
        try {
          const written = await writeDraft(draft, stream, options);
          await rename(draft, target);
          await fsyncUpTo(path.dirname(target), dataDir);
          return { path: key, ...written };
        } catch (error) {
          await rm(draft, { force: true });
          await rm(target, { force: true });
          throw error;
        }
      }),
    list: () => listObjects(folder.files, { folder: /^..$/, object: /./ }),
  };
}

async function writeDraft(
  draft: string,
  stream: AsyncIterable<Buffer | string>,
  options: ReceiveOptions,
): Promise<{ bytes: number; sha256: string }> {
  const received = receiveChunks(stream, options);
  const handle = await open(draft, 'wx', 0o600);
  try {
    for await (const chunk of received.chunks) await handle.writeFile(chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return received.result();
}

type ReceiveOptions = Parameters<FileStore['receive']>[1];

/** Yields the chunks of a file that `inspect` accepts; `result` then returns what its row records. */
export function receiveChunks(
  stream: AsyncIterable<Buffer | string>,
  { limit, inspect }: ReceiveOptions,
): { chunks: AsyncGenerator<Buffer>; result(): { bytes: number; sha256: string } } {
  const digest = createHash('sha256');
  let bytes = 0;
  async function* inspected(): AsyncGenerator<Buffer> {
    for await (const chunk of limited(stream, limit)) {
      inspect?.(chunk);
      digest.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  }
  return { chunks: inspected(), result: () => ({ bytes, sha256: digest.digest('hex') }) };
}

/** Throws GraftError `file_too_large` instead of yielding the chunk that exceeds `limit` bytes. */
export async function* limited(
  stream: AsyncIterable<Buffer | string>,
  limit: number,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const piece of stream) {
    const chunk = Buffer.isBuffer(piece) ? piece : Buffer.from(piece);
    bytes += chunk.length;
    if (bytes > limit) {
      throw new GraftError('file_too_large', `A file has at most ${limit} bytes.`, { param: 'file' });
    }
    yield chunk;
  }
}
