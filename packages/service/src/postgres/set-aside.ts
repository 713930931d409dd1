import { existsSync, readdirSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { dataFolder } from '../data-folder/data-folder.ts';

/**
 * Returns whether nothing was ever stored here: the folder of Postgres contains only what taking its lock creates, and there is no data
 * beside it. In this case a cluster elsewhere belongs to a deleted data folder of the same path.
 */
export function isFresh(folder: string): boolean {
  const kept = readdirSync(folder).filter((name) => name !== 'holders' && !/^lock(\.|$)/.test(name));
  // Folders that every Graft that has run keeps beside its Postgres.
  const { secrets, files, artifacts } = dataFolder(path.dirname(folder));
  return kept.length === 0 && ![secrets, files, artifacts].some((sibling) => existsSync(sibling));
}

/** Renames a stopped cluster, so that another one can be created in its place. Returns its new path. */
export async function setAside(dataFolder: string): Promise<string> {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const place = `${dataFolder}.${time}`;
  await rename(dataFolder, place);
  return place;
}
