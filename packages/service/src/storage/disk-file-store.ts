import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '@graft/peft-core/config';
import { randomText } from '../ids.ts';
import { dataFolder } from './data-folder.ts';
import type { FileStore } from './file-store.ts';
import { fsyncFolder } from './fsync-folder.ts';

/** Files of the data folder. */
export function createDiskFileStore(dataDir: string): FileStore {
  const folder = dataFolder(dataDir);

  function locate(key: string): string {
    // Keys come from rows that `receive` named, never from a request; this holds even if that is ever broken.
    if (!/^[0-9A-Za-z]{24}$/.test(key)) throw new Error('not a file key');
    return folder.file(key);
  }
  async function localPath(key: string): Promise<string> {
    const file = locate(key);
    await access(file).catch((cause: unknown) => {
      throw new GraftError('file_missing', 'The bytes of this file are gone.', { fault: 'system', cause });
    });
    return file;
  }

  return {
    localPath,
    open: async (key, range) => createReadStream(await localPath(key), range ?? {}),
    remove: async (key) => await rm(locate(key), { force: true }),
    receive: async (stream, { limit, inspect }) => {
      const key = randomText(24);
      const target = locate(key);
      const draft = path.join(folder.incoming, key);
      await mkdir(folder.incoming, { recursive: true });
      await mkdir(path.dirname(target), { recursive: true });
      try {
        const digest = createHash('sha256');
        let bytes = 0;
        const handle = await open(draft, 'wx', 0o600);
        try {
          for await (const piece of stream) {
            const chunk = Buffer.isBuffer(piece) ? piece : Buffer.from(piece);
            bytes += chunk.length;
            if (bytes > limit) {
              throw new GraftError('file_too_large', `A file has at most ${limit} bytes.`, { param: 'file' });
            }
            inspect?.(chunk);
            digest.update(chunk);
            await handle.writeFile(chunk);
          }
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(draft, target);
        await fsyncFolder(path.dirname(target));
        return { path: key, bytes, sha256: digest.digest('hex') };
      } catch (error) {
        await rm(draft, { force: true });
        throw error;
      }
    },
  };
}
