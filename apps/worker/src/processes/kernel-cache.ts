import { createHash } from 'node:crypto';
import { lchownSync, mkdirSync, utimesSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChildUser } from './child-user.ts';

/** Of all teams, and of one. A volume for it needs somewhat more. */
const MOST_BYTES = { all: 6 * 2 ** 30, one: 2 * 2 ** 30 };
/** A folder that holds more files is not one that CUDA and XLA have made. */
const MOST_FILES = 20_000;

const foldersBelow = (cacheDir: string) => join(cacheDir, 'compiled');

/**
 * The folder, which is made, in which CUDA and XLA keep what they have compiled for children of this user that compute for this team: by
 * what lies there another team's child would run code. Throws where it cannot be made.
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
  utimesSync(folder, now, now); // of several the one that was used last is kept longest
  return folder;
}

/**
 * Removes what is too much of what is kept: folders of one team that are too large, and of the others those that were used least
 * recently. What a running child then misses it compiles again.
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

/** Of all files of a folder; infinite where there are too many. */
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
