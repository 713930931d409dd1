import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, copyFile, type FileHandle, mkdir, open, opendir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { AdapterFile } from '../artifact-store.ts';
import { onStorage } from '../storage-fault.ts';
import { fsyncFolder } from './fsync-folder.ts';
import { at, type OpenFolder, openBelow, openFileIn, openIn, pathOf } from './open-below.ts';

/** Permitted contents of a folder written by another process. */
export interface Expected {
  /** Maximum bytes of the file at this path; null: the file is not allowed. Paths have forward slashes. */
  maxBytes(path: string): number | null;
  /** Returns whether a folder is allowed at this path. */
  isFolder?(path: string): boolean;
  /** Maximum bytes of all files together. */
  totalBytes: number;
  signal?: AbortSignal | undefined;
}

/** The folder contains something that a trustworthy process would not write. The message contains only paths from `Expected`. */
export class Unexpected extends Error {}

// More than any of Graft's folders has.
const maxEntries = 1000;
const chunkBytes = 2 ** 20;

/**
 * Copies a folder that an untrusted process writes, possibly still now, into the new folder `to`, which is durable, owned by this process
 * and readable for all. Every file must be a plain file with one name and with an expected path and length, and must not change while it is
 * read; no links are followed. Returns the copied files, ordered by path. `from` must be below `root`. Throws `Unexpected`, GraftError
 * `storage_away` or `storage_full`, or the signal's reason, and then removes `to`.
 */
export async function copyUntrusted(
  root: string,
  from: string,
  to: string,
  expected: Expected,
): Promise<AdapterFile[]> {
  return await onStorage(async () => {
    await makeReadable(to);
    try {
      const source = await opened('', () => openBelow(root, from));
      const copying = new Copying(to, expected);
      await copying.copy(source, '').finally(() => source.handle.close());
      return copying.files.sort((a, b) => (a.path < b.path ? -1 : 1));
    } catch (error) {
      await rm(to, { recursive: true, force: true });
      throw error;
    }
  });
}

class Copying {
  readonly files: AdapterFile[] = [];
  readonly #to: string;
  readonly #expected: Expected;
  #entries = 0;
  #bytes = 0;

  constructor(to: string, expected: Expected) {
    this.#to = to;
    this.#expected = expected;
  }

  async copy(folder: OpenFolder, prefix: string): Promise<void> {
    for await (const { name } of await opendir(at(folder))) {
      if (++this.#entries > maxEntries) throw new Unexpected('it holds too many files');
      const own = prefix + name;
      const most = this.#expected.maxBytes(own);
      if (most !== null) await this.#copyFile(folder, name, own, most);
      else if (this.#expected.isFolder?.(own)) {
        const inner = await opened(own, () => openIn(folder, name));
        await makeReadable(path.join(this.#to, own));
        await this.copy(inner, `${own}/`).finally(() => inner.handle.close());
      } else throw new Unexpected('it holds a file that does not belong there');
    }
    await fsyncFolder(path.join(this.#to, prefix));
  }

  async #copyFile(folder: OpenFolder, name: string, own: string, most: number): Promise<void> {
    const source = await opened(own, () => openFileIn(folder, name));
    if (!source) throw new Unexpected(`${own} is not a plain file`);
    try {
      const before = await source.stat({ bigint: true });
      if (before.nlink !== 1n) throw new Unexpected(`${own} has another name elsewhere`);
      const room = this.#expected.totalBytes - this.#bytes;
      if (before.size > BigInt(Math.min(most, room))) throw new Unexpected(`${own} is too long`);
      const { signal } = this.#expected;
      const sha256 = await copyBytes(source, path.join(this.#to, own), Number(before.size), signal);
      const after = await source.stat({ bigint: true });
      const isSame = (['size', 'mtimeNs', 'ctimeNs', 'nlink'] as const).every(
        (of) => before[of] === after[of],
      );
      if (sha256 === null || !isSame) throw new Unexpected(`${own} changed while it was read`);
      this.#bytes += Number(before.size);
      this.files.push({ path: own, bytes: Number(before.size), sha256 });
    } finally {
      await source.close();
    }
  }
}

/** Sets the mode regardless of this process's umask: a trainer that runs as another user reads the checkpoint from which it resumes. */
async function makeReadable(folder: string): Promise<void> {
  await mkdir(folder);
  await chmod(folder, 0o755);
}

/** Converts the errors for a missing folder, a non-folder or a link to `Unexpected`; others are faults of the storage. */
async function opened<T>(own: string, open: () => Promise<T>): Promise<T> {
  return await open().catch((error: NodeJS.ErrnoException) => {
    if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(error.code!)) throw error;
    throw new Unexpected(`${own || 'it'} is not there, or is a link`, { cause: error });
  });
}

/** Copies `bytes` bytes into a new file, durably, and returns their digest. Null: the source is shorter. */
async function copyBytes(
  source: FileHandle,
  to: string,
  bytes: number,
  signal?: AbortSignal,
): Promise<string | null> {
  const digest = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(chunkBytes, bytes)));
  const isClone = await clone(source, to);
  const target = await open(to, isClone ? 'r+' : 'wx');
  try {
    await target.chmod(0o644);
    if (isClone && (await target.stat()).size !== bytes) return null;
    const from = isClone ? target : source;
    for (let done = 0; done < bytes; ) {
      signal?.throwIfAborted();
      const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, bytes - done), done);
      if (bytesRead === 0) return null;
      const chunk = buffer.subarray(0, bytesRead);
      digest.update(chunk);
      if (!isClone) await target.writeFile(chunk);
      done += bytesRead;
    }
    await target.sync();
  } finally {
    await target.close();
  }
  return digest.digest('hex');
}

/**
 * Makes `to` a copy-on-write clone: on XFS, Btrfs and other file systems that support it, no data is written. Returns false if it is not
 * supported.
 */
async function clone(source: FileHandle, to: string): Promise<boolean> {
  const from = pathOf(source);
  if (from === null) return false;
  const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = constants;
  try {
    await copyFile(from, to, COPYFILE_EXCL | COPYFILE_FICLONE_FORCE);
    // The clone has the mode of the source.
    await chmod(to, 0o644);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw error;
    await rm(to, { force: true });
    return false;
  }
}
