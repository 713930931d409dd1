import { open, rename } from 'node:fs/promises';
import path from 'node:path';
import type { WrittenFile } from './safetensors/write-safetensors.ts';
import { sha256 } from './sha256.ts';

/** Writes a file that is in memory. It is complete and synced to disk before it gets its name. `path` in the result is `name`. */
export async function writeSmallFile(folder: string, name: string, text: string): Promise<WrittenFile> {
  const bytes = Buffer.from(text);
  const target = path.join(folder, name);
  const file = await open(`${target}.partial`, 'w');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${target}.partial`, target);
  return { path: name, bytes: bytes.byteLength, sha256: sha256(bytes) };
}

export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
