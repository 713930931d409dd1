import { lstat, opendir, rmdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { at, type OpenFolder, openBelow, openIn } from './open-below.ts';

/** Maximum number of times that a folder is emptied: a process whose work was claimed by another one may still write to it. */
const attempts = 10;

/**
 * Removes a file or folder below `root` without following links, so that another process cannot redirect the removal. Does nothing if it
 * does not exist.
 */
export async function removeBelow(root: string, target: string): Promise<void> {
  try {
    const parent = await openBelow(root, path.dirname(target));
    await removeIn(parent, path.basename(target)).finally(() => parent.handle.close());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

async function removeIn(parent: OpenFolder, name: string): Promise<void> {
  if (!(await lstat(at(parent, name))).isDirectory()) return await unlink(at(parent, name));
  for (let attempt = 1; ; attempt++) {
    await emptyIn(parent, name);
    try {
      return await rmdir(at(parent, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY' || attempt === attempts) throw error;
    }
    await sleep(10 * attempt);
  }
}

async function emptyIn(parent: OpenFolder, name: string): Promise<void> {
  const folder = await openIn(parent, name);
  try {
    for await (const entry of await opendir(at(folder))) {
      await removeIn(folder, entry.name).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
  } finally {
    await folder.handle.close();
  }
}
