/** Folders and files that survive a power failure, and reads that retry after a storage fault. */
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Flushes the current content of a file, or the entries of a folder, to disk (fsync). */
export async function syncPath(target: string): Promise<void> {
  const handle = await open(target, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates a folder and its missing parents durably: a new folder is an entry of its parent, so the parent is synced. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; ; made = path.dirname(made)) {
    await syncPath(path.dirname(made));
    if (made === first) return;
  }
}

/** Writes a small new file durably. The caller must sync the folder that contains it. */
export async function writeNewFile(file: string, content: string): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Code of the failed system call, such as "EIO", also of an error's cause; null for any other error. */
export function systemCode(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { code, syscall } = error as NodeJS.ErrnoException;
  return syscall !== undefined && code !== undefined ? code : systemCode(error.cause);
}

// These codes describe the content of the disk. Any other code means that the disk, the network or its permissions are at fault.
const answers = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENAMETOOLONG']);

/** Checks whether storage failed, so that a retry later or on another machine may succeed. */
export function isStorageFault(error: unknown): boolean {
  const code = systemCode(error);
  return code !== null && !answers.has(code);
}

/** Milliseconds before each retry of a failed read: about five seconds in total. */
const patience = [100, 300, 1000, 3500];
/** Number of retries for a missing file: a file just written by another machine may become visible with a delay. */
const patienceForMissing = 2;

/** Runs `read`, retries after storage faults and, briefly, for a missing file, and returns its result. Throws the last fault. */
export async function readWithRetry<T>(
  read: () => Promise<T>,
  waits: readonly number[] = patience,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await read();
    } catch (error) {
      const missing = systemCode(error) === 'ENOENT';
      const tries = missing ? Math.min(patienceForMissing, waits.length) : waits.length;
      if (failures >= tries || !(missing || isStorageFault(error))) throw error;
      await sleep(waits[failures]);
    }
  }
}
