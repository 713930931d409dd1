import { stat } from 'node:fs/promises';

/** Size in bytes of a file or folder; null if it does not exist or cannot be read. */
export async function fileSize(path: string): Promise<number | null> {
  return (await stat(path).catch(() => null))?.size ?? null;
}
