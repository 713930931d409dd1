import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { hashFile, sha256 } from '../sha256.ts';

/** Digests computed by this process, by file and its state. */
const known = new Map<string, Promise<string>>();

/**
 * SHA-256 (hex) of a model's weights: of its only file, or of the lines `digest  name` of its shards. A file is hashed again
 * only if its inode, length, modification time or change time differ; the change time cannot be set back.
 * `cacheFolder` stores digests for other processes.
 */
export async function modelDigest(files: readonly string[], cacheFolder: string | null): Promise<string> {
  const digests = await Promise.all(files.map((file) => fileDigest(file, cacheFolder)));
  if (digests.length === 1) return digests[0]!;
  const lines = files.map((file, i) => `${digests[i]}  ${path.basename(file)}\n`);
  return sha256(lines.join(''));
}

/**
 * Reads the weights whose digest in `cacheFolder` is older than `olderThanMs` again, at most `bytesPerSecond`. Returns the files whose
 * content changed although the file system reports no change. After that `modelDigest` returns their new digest.
 */
export async function rehashWeights(
  files: readonly string[],
  cacheFolder: string,
  options: { olderThanMs: number; bytesPerSecond: number; signal?: AbortSignal },
): Promise<string[]> {
  const changed: string[] = [];
  for (const file of files) {
    const key = await keyOf(file);
    const sidecar = sidecarOf(key, cacheFolder);
    const kept = await readFile(sidecar, 'utf8').catch(() => '');
    if (!isDigest(kept) || Date.now() - (await stat(sidecar)).mtimeMs < options.olderThanMs) continue;
    const digest = await hashFile(file, options);
    if (digest === kept) {
      const now = new Date();
      await utimes(sidecar, now, now);
    } else if ((await keyOf(file)) === key) {
      await rm(sidecar, { force: true });
      known.delete(key);
      changed.push(file);
    }
  }
  return changed;
}

async function keyOf(file: string): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
  return [file, ino, size, mtimeNs, ctimeNs].join('\n');
}

const isDigest = (text: string) => /^[0-9a-f]{64}$/.test(text);
const sidecarOf = (key: string, cacheFolder: string) => path.join(cacheFolder, `${sha256(key)}.sha256`);

async function fileDigest(file: string, cacheFolder: string | null): Promise<string> {
  const key = await keyOf(file);
  let digest = known.get(key);
  if (!digest) {
    digest = cacheFolder === null ? hashFile(file) : cachedDigest(file, key, cacheFolder);
    known.set(key, digest);
    digest.catch(() => known.delete(key));
  }
  return digest;
}

async function cachedDigest(file: string, key: string, cacheFolder: string): Promise<string> {
  const sidecar = sidecarOf(key, cacheFolder);
  const kept = await readFile(sidecar, 'utf8').catch(() => '');
  if (isDigest(kept)) return kept;
  const digest = await hashFile(file);
  const partial = `${sidecar}.${process.pid}`;
  try {
    await mkdir(cacheFolder, { recursive: true });
    await writeFile(partial, digest);
    await rename(partial, sidecar);
  } catch (error) {
    // A trainer may not write there; its worker can, and has opened the model before.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EROFS') throw error;
  }
  return digest;
}
