import { access, opendir, rm } from 'node:fs/promises';
import path from 'node:path';
import { checkpointFolder, dataFolder } from '../../data-folder/data-folder.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import { onStorage } from '../storage-fault.ts';

/** Uses the data folder as the store: every machine sees what a trainer has written there. */
export function createDiskCheckpointStore(dataDir: string): CheckpointStore {
  const folderOf = (key: string) => checkpointFolder(dataDir, key);
  return {
    put: async (key) => await onStorage(() => access(folderOf(key))),
    fetch: async (key) => {
      const folder = folderOf(key);
      return await onStorage(() => access(folder)).then(
        () => folder,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT') return null;
          throw error;
        },
      );
    },
    remove: async (key) => await onStorage(() => rm(folderOf(key), { recursive: true, force: true })),
    jobs: () => namesIn(dataFolder(dataDir).checkpoints),
  };
}

/** Yields the names in a folder; none if it does not exist. */
export async function* namesIn(folder: string): AsyncGenerator<string> {
  const entries = await opendir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return [];
  });
  for await (const { name } of entries) yield path.basename(name);
}
