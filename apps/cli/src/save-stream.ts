import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Writes bytes to a file, which appears only when it is complete, or to stdout (`-`). Returns the number of bytes. */
export async function saveStream(chunks: AsyncIterable<Uint8Array>, path: string): Promise<number> {
  let size = 0;
  async function* counted() {
    for await (const chunk of chunks) {
      size += chunk.byteLength;
      yield chunk;
    }
  }
  if (path === '-') {
    await pipeline(Readable.from(counted()), process.stdout, { end: false });
    return size;
  }
  const partial = `${path}.partial`;
  try {
    await pipeline(Readable.from(counted()), createWriteStream(partial));
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return size;
}
