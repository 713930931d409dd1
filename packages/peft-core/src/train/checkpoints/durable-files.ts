/** Folders and files that survive a loss of power, and reads that outlive a fault of the storage. */
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Puts what a file or a folder's entries are now onto the disk. */
export async function syncPath(target: string): Promise<void> {
  const handle = await open(target, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder and those above it, each durably: a new folder is an entry of its parent, which is synced. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; ; made = path.dirname(made)) {
    await syncPath(path.dirname(made));
    if (made === first) return;
  }
}

/** Writes a small file that is not there yet, durably; its folder's entry is the caller's to sync. */
export async function writeNewFile(file: string, content: string): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Of the system call that failed, such as "EIO"; null for any other error. An error's cause counts as the error. */
export function systemCode(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { code, syscall } = error as NodeJS.ErrnoException;
  return syscall !== undefined && code !== undefined ? code : systemCode(error.cause);
}

// These tell what is on the disk. Any other code tells that the disk, the network or the rights to it are at fault.
const answers = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENAMETOOLONG']);

/** Whether storage failed: trying again later, or on another machine, may give another result. */
export function isStorageFault(error: unknown): boolean {
  const code = systemCode(error);
  return code !== null && !answers.has(code);
}

/** Milliseconds before each further try of a read that the storage fails: some five seconds in all. */
const patience = [100, 300, 1000, 3500];
/** A file that another machine has just written may be seen only after a moment. */
const patienceForMissing = 2;

/** What `read` gives, tried again after a fault of the storage and, for a moment, when a file is missing. Throws the last fault. */
export async function readPatiently<T>(
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
