/** Folders and files that survive a power failure, and the faults of storage. */
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';

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
