import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { hashFile, sha256 } from '../sha256.ts';

/** Digests of this process, by file, length and time of change. */
const known = new Map<string, Promise<string>>();

/**
 * SHA-256 (hex) of a model's weights: of its one file, or of `digest  name` lines of its shards. A file is hashed again
 * only when its length or time of change differ; `cacheFolder` keeps digests for other processes.
 */
export async function modelDigest(files: readonly string[], cacheFolder: string | null): Promise<string> {
  const digests = await Promise.all(files.map((file) => fileDigest(file, cacheFolder)));
  if (digests.length === 1) return digests[0]!;
  const lines = files.map((file, i) => `${digests[i]}  ${path.basename(file)}\n`);
  return sha256(lines.join(''));
}

async function fileDigest(file: string, cacheFolder: string | null): Promise<string> {
  const { size, mtimeNs } = await stat(file, { bigint: true });
  const key = `${file}\n${size}\n${mtimeNs}`;
  let digest = known.get(key);
  if (!digest) {
    digest = cacheFolder === null ? hashFile(file) : cachedDigest(file, key, cacheFolder);
    known.set(key, digest);
    digest.catch(() => known.delete(key));
  }
  return digest;
}

async function cachedDigest(file: string, key: string, cacheFolder: string): Promise<string> {
  const name = sha256(key);
  const sidecar = path.join(cacheFolder, `${name}.sha256`);
  const kept = await readFile(sidecar, 'utf8').catch(() => '');
  if (/^[0-9a-f]{64}$/.test(kept)) return kept;
  const digest = await hashFile(file);
  await mkdir(cacheFolder, { recursive: true });
  const partial = `${sidecar}.${process.pid}`;
  await writeFile(partial, digest);
  await rename(partial, sidecar);
  return digest;
}
