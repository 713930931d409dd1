import { open } from 'node:fs/promises';
import path from 'node:path';
import { onStorage } from '../storage-fault.ts';
import { limited } from './disk-file-store.ts';

/**
 * Streams a file into a staged folder. `name` is chosen by this program, never by a client. Returns the length in bytes. Throws GraftError
 * `file_too_large` beyond `limit` bytes, `storage_full`, `storage_away`; the part that was written stays in the folder.
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
