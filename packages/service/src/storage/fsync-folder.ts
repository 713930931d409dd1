import { open } from 'node:fs/promises';

/** Makes the names in a folder durable: what was created in it or renamed into it. */
export async function fsyncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
