import { createHash } from 'node:crypto';
import { open, rename } from 'node:fs/promises';
import path from 'node:path';
import type { WrittenFile } from '../files.ts';

/** Copies a file of a folder into another one, where it is complete and synced to disk before it gets its name. */
export async function copyFile(
  from: string,
  to: string,
  name: string,
  onBytes: (bytes: number) => void,
): Promise<WrittenFile> {
  const target = path.join(to, name);
  const hash = createHash('sha256');
  let bytes = 0;
  const [source, copy] = [await open(path.join(from, name)), await open(`${target}.partial`, 'w')];
  try {
    const chunk = Buffer.alloc(1 << 22);
    for (;;) {
      const { bytesRead } = await source.read(chunk, 0, chunk.length);
      if (bytesRead === 0) break;
      const piece = chunk.subarray(0, bytesRead);
      hash.update(piece);
      await copy.writeFile(piece);
      bytes += bytesRead;
      onBytes(bytesRead);
    }
    await copy.sync();
  } finally {
    await source.close();
    await copy.close();
  }
  await rename(`${target}.partial`, target);
  return { path: name, bytes, sha256: hash.digest('hex') };
}
