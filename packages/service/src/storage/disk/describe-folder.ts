import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { AdapterFile, StoredArtifact } from '../artifact-store.ts';
import { newArtifactName } from '../object-name.ts';

/** Returns path, length and digest of every file of a folder, ordered by path. Throws for anything but plain files. */
export async function describeFolder(
  folder: string,
  digestOf: (file: string) => Promise<Omit<AdapterFile, 'path'>>,
): Promise<AdapterFile[]> {
  const files: AdapterFile[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    if (!entry.isFile()) throw new Error('an artifact holds plain files only');
    const absolute = path.join(entry.parentPath, entry.name);
    const name = path.relative(folder, absolute).replaceAll(path.sep, '/');
    const { bytes, sha256 } = await digestOf(absolute);
    files.push({ path: name, bytes, sha256 });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Describes the files of a folder as a new artifact, which is not stored yet. */
export async function newArtifact(
  folder: string,
  digestOf: (file: string) => Promise<Omit<AdapterFile, 'path'>>,
): Promise<StoredArtifact> {
  const files = await describeFolder(folder, digestOf);
  if (files.length === 0) throw new Error('an artifact holds at least one file');
  const digest = digestOfListing(listingOf(files));
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return { artifact: newArtifactName(digest), digest, files, bytes };
}

/** Returns the text whose SHA-256 is an artifact's digest. */
export function listingOf(files: readonly AdapterFile[]): string {
  return files.map((file) => `${file.sha256} ${file.bytes} ${file.path}\n`).join('');
}

export function digestOfListing(listing: string): string {
  return createHash('sha256').update(listing).digest('hex');
}

/** Parses a listing of files. Throws if it is invalid. */
export function filesOfListing(listing: string): AdapterFile[] {
  return listing
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, sha256, bytes, name] = /^([0-9a-f]{64}) (\d+) (.+)$/.exec(line) ?? [];
      if (!sha256 || !bytes || !name) throw new Error('not a listing of files');
      return { path: name, bytes: Number(bytes), sha256 };
    });
}
