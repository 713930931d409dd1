import { open } from 'node:fs/promises';
import path from 'node:path';
import { onStorage } from '../storage-fault.ts';
import { limited } from './disk-file-store.ts';

/**
 * Writes a file of a staged folder as it comes. `name` is one that this program gives, never a sender's. Answers its length in
 * bytes. Throws GraftError `file_too_large` past `limit` bytes, `storage_full`, `storage_away`; what was written stays in the folder.
 */
export async function receiveStaged(
  folder: string,
  name: string,
  stream: AsyncIterable<Buffer>,
  limit: number,
): Promise<number> {
  return await onStorage(async () => {
    let bytes = 0;
    const handle = await open(path.join(folder, path.basename(name)), 'wx', 0o600);
    try {
      for await (const chunk of limited(stream, limit)) {
        bytes += chunk.length;
        await handle.writeFile(chunk);
      }
    } finally {
      await handle.close();
    }
    return bytes;
  });
}
