import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';

/** Makes the directory entries of a folder durable: files that were created in it or renamed into it. */
export async function fsyncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates a folder with its parents below `root`; `secureDataFolder` controls access. */
export async function makeFolder(folder: string, root: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await fsyncUpTo(folder, root);
}

/** Makes the entries of `folder` and its parents up to `root` durable, including parents that another process just created. */
export async function fsyncUpTo(folder: string, root: string): Promise<void> {
  const outside = path.dirname(root);
  for (let each = folder; each !== outside && each !== path.dirname(each); each = path.dirname(each)) {
    await fsyncFolder(each);
  }
}
