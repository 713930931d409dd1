import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';

/** Makes the names in a folder durable: what was created in it or renamed into it. */
export async function fsyncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder, with its parents, below `root`; `secureDataFolder` says who gets there. */
export async function makeFolder(folder: string, root: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await fsyncUpTo(folder, root);
}

/** Makes the names in `folder` and in its parents durable, up to those in `root`: also of parents that another process has just made. */
export async function fsyncUpTo(folder: string, root: string): Promise<void> {
  const outside = path.dirname(root);
  for (let each = folder; each !== outside && each !== path.dirname(each); each = path.dirname(each)) {
    await fsyncFolder(each);
  }
}
