import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, copyFile, type FileHandle, mkdir, open, opendir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { AdapterFile } from '../artifact-store.ts';
import { onStorage } from '../storage-fault.ts';
import { fsyncFolder } from './fsync-folder.ts';
import { at, type OpenFolder, openBelow, openFileIn, openIn, pathOf } from './open-below.ts';

/** What may be in a folder that another process has written. */
export interface Expected {
  /** The most bytes that a file of this path may have; null: there may be none of it. Paths have forward slashes. */
  mostBytes(path: string): number | null;
  /** Whether there may be a folder of this path. */
  isFolder?(path: string): boolean;
  /** Of all files together. */
  totalBytes: number;
  /** Aborted: the copy is no longer wanted. */
  signal?: AbortSignal | undefined;
}

/** The folder holds what a process that is to be trusted does not leave. The message has no path but those of `Expected`. */
export class Unexpected extends Error {}

// More than any folder of Graft's has.
const mostEntries = 1000;
const chunkBytes = 2 ** 20;

/**
 * Copies a folder that a process writes which is not to be trusted, and may still be writing, into the new folder `to`: durable, this
 * process's own, readable for all. Every file is a plain one of a single name and of an expected path and length, and stays the same
 * while it is read; no link is followed on the way. Answers what was copied, in the order of paths. `from` lies below `root`. Throws
 * `Unexpected`, and GraftError `storage_away`, `storage_full`, and the signal's reason; then `to` is not there.
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
      if (++this.#entries > mostEntries) throw new Unexpected('it holds too many files');
      const own = prefix + name;
      const most = this.#expected.mostBytes(own);
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

/** Whatever this process's umask is: a trainer of another user reads what it goes on from. */
async function makeReadable(folder: string): Promise<void> {
  await mkdir(folder);
  await chmod(folder, 0o755);
}

/** What was not there, was no folder or was a link is not to be trusted; other faults are the storage's. */
async function opened<T>(own: string, open: () => Promise<T>): Promise<T> {
  return await open().catch((error: NodeJS.ErrnoException) => {
    if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(error.code!)) throw error;
    throw new Unexpected(`${own || 'it'} is not there, or is a link`, { cause: error });
  });
}

/** Copies so many bytes into a new file, durably, and answers their digest. Null: there are not as many. */
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
 * Makes `to` another file of the same blocks, which a later write to either does not change in the other: on XFS, Btrfs and others that
 * can, no byte is written. False: not here.
 */
async function clone(source: FileHandle, to: string): Promise<boolean> {
  const from = pathOf(source);
  if (from === null) return false;
  const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = constants;
  try {
    await copyFile(from, to, COPYFILE_EXCL | COPYFILE_FICLONE_FORCE);
    // It has the other's mode.
    await chmod(to, 0o644);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw error;
    await rm(to, { force: true });
    return false;
  }
}
