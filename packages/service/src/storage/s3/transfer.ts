import { createReadStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import type { AdapterFile } from '../artifact-store.ts';
import { digestOfListing, filesOfListing, listingOf } from '../disk/describe-folder.ts';
import { digested } from '../disk/file-digests.ts';
import { fsyncFolder } from '../disk/fsync-folder.ts';
import type { S3Objects } from './s3-objects.ts';

const listingKey = (key: string) => `${key}.listing`;
const chunkBytes = 2 ** 20;

/**
 * Stores a folder under `key`: its files, then the listing of their digests, whose presence means that the folder is complete. If it fails,
 * nothing is left, unless the store is unavailable.
 */
export async function putFolder(
  objects: S3Objects,
  key: string,
  folder: string,
  files: readonly AdapterFile[],
  signal?: AbortSignal,
): Promise<void> {
  try {
    for (const file of files) {
      const source = createReadStream(path.join(folder, file.path), {
        highWaterMark: chunkBytes,
        ...(signal && { signal }),
      });
      const changed = () => new Error(`${file.path} changed while it was stored`);
      await objects.put(`${key}/${file.path}`, digested(source, file, changed));
    }
    await objects.put(listingKey(key), one(Buffer.from(listingOf(files))));
  } catch (error) {
    await removeFolder(objects, key).catch(() => {});
    throw error;
  }
}

/** Returns the files stored under `key` and the digest of their listing. Null: there is no listing. Throws `corrupt()`. */
export async function readListing(
  objects: S3Objects,
  key: string,
  corrupt: () => Error,
): Promise<{ files: AdapterFile[]; digest: string } | null> {
  const stream = await objects.get(listingKey(key));
  if (!stream) return null;
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  const listing = Buffer.concat(chunks).toString();
  try {
    return { files: filesOfListing(listing), digest: digestOfListing(listing) };
  } catch {
    throw corrupt();
  }
}

/** Fetches the files of a listing into a new folder, each verified and durable. Throws `corrupt()`, `missing()`. */
export async function fetchFolder(
  objects: S3Objects,
  key: string,
  files: readonly AdapterFile[],
  folder: string,
  faults: { corrupt: () => Error; missing: () => Error },
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  for (const file of files) {
    const target = path.join(folder, file.path);
    if (!target.startsWith(folder + path.sep)) throw faults.corrupt();
    await mkdir(path.dirname(target), { recursive: true, mode: 0o755 });
    await fetchFile(objects, `${key}/${file.path}`, file, target, faults);
  }
  await fsyncFolder(folder);
}

/** Fetches an object into a new file, verified and durable. Throws `corrupt()`, `missing()`. */
export async function fetchFile(
  objects: S3Objects,
  key: string,
  expected: Pick<AdapterFile, 'bytes' | 'sha256'>,
  target: string,
  { corrupt, missing }: { corrupt: () => Error; missing: () => Error },
): Promise<void> {
  // Opened before the object is requested: an unread response would keep its connection open.
  const handle = await open(target, 'wx', 0o644);
  try {
    const stream = await objects.get(key);
    if (!stream) throw missing();
    for await (const chunk of digested(stream, expected, corrupt)) await handle.writeFile(chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes the listing first: without it the folder does not exist for readers. */
export async function removeFolder(objects: S3Objects, key: string): Promise<void> {
  await objects.remove(listingKey(key));
  await objects.removeUnder(`${key}/`);
}

async function* one(chunk: Buffer): AsyncGenerator<Buffer> {
  yield chunk;
}
