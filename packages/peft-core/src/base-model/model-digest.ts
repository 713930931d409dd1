import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { hashFile, sha256 } from '../sha256.ts';

/** Digests of this process, by file and the stamp of its state. */
const known = new Map<string, Promise<string>>();

/**
 * SHA-256 (hex) of a model's weights: of its one file, or of `digest  name` lines of its shards. A file is hashed again
 * only when its inode, length, time of writing or time of change differ, the last of which cannot be set back;
 * `cacheFolder` keeps digests for other processes.
 */
export async function modelDigest(files: readonly string[], cacheFolder: string | null): Promise<string> {
  const digests = await Promise.all(files.map((file) => fileDigest(file, cacheFolder)));
  if (digests.length === 1) return digests[0]!;
  const lines = files.map((file, i) => `${digests[i]}  ${path.basename(file)}\n`);
  return sha256(lines.join(''));
}

/**
 * Reads through, at most `bytesPerSecond`, those weights whose digest in `cacheFolder` is older than `olderThanMs`, and answers the
 * files whose bytes are no longer those although the file system tells of no change. `modelDigest` then tells their new digest.
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
    // A trainer may not write there: its worker, which has opened the model before, does.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EROFS') throw error;
  }
  return digest;
}
