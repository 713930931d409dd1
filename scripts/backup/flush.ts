import { open } from 'node:fs/promises';

/** Waits until a file is on the disk (fsync). Resolves to its size in bytes. */
export async function flush(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}
