import { createHash } from 'node:crypto';
import { lchownSync, mkdirSync, utimesSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChildUser } from './child-user.ts';

/** Maximum bytes of all teams together, and of one. A volume for the cache needs somewhat more. */
const MOST_BYTES = { all: 6 * 2 ** 30, one: 2 * 2 ** 30 };
/** A folder with more files was not created by CUDA and XLA. */
const MOST_FILES = 20_000;

const foldersBelow = (cacheDir: string) => join(cacheDir, 'compiled');

/**
 * Creates and returns the folder where CUDA and XLA cache compiled code for children of this user that compute for this team. Separate
 * for each team, because a child executes the code in it. Throws where the folder cannot be created.
 */
export function kernelCacheFolder(cacheDir: string, user: ChildUser | null, team: string | null): string {
  const all = foldersBelow(cacheDir);
  mkdirSync(all, { recursive: true, mode: 0o711 });
  const name = createHash('sha256')
    .update(team ?? '')
    .digest('hex')
    .slice(0, 16);
  const folder = join(all, `${user?.uid ?? 'worker'}-${name}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (user) lchownSync(folder, user.uid, user.gid);
  const now = new Date();
  utimesSync(folder, now, now); // the most recently used folders are kept
  return folder;
}

/**
 * Trims the caches: removes the folders that exceed the limit of one team, then the least recently used ones above the total limit.
 * A running child recompiles what it misses.
 */
export async function trimKernelCaches(cacheDir: string, most = MOST_BYTES): Promise<void> {
  const all = foldersBelow(cacheDir);
  const names = await readdir(all).catch(() => []);
  const folders = await Promise.all(
    names.map(async (name) => {
      const path = join(all, name);
      const used = await lstat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      );
      return { path, used, bytes: await bytesOf(path) };
    }),
  );
  let left = most.all;
  for (const { path, bytes } of folders.sort((a, b) => b.used - a.used)) {
    if (bytes <= most.one && bytes <= left) left -= bytes;
    else await rm(path, { recursive: true, force: true });
  }
}

/** Size of all files of a folder; infinite where there are too many. */
async function bytesOf(folder: string): Promise<number> {
  let [bytes, files] = [0, 0];
  const open = [folder];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const entries = await readdir(at, { withFileTypes: true }).catch(() => []);
    files += entries.length;
    if (files > MOST_FILES) return Number.POSITIVE_INFINITY;
    for (const entry of entries) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) open.push(path);
      else
        bytes += await lstat(path).then(
          ({ size }) => size,
          () => 0,
        );
    }
  }
  return bytes;
}
