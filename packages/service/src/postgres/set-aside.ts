import { existsSync, readdirSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { dataFolder } from '../data-folder/data-folder.ts';

/**
 * Whether nothing was ever kept here: in the folder of Postgres only what taking its lock leaves, and no data beside it.
 * Then a cluster elsewhere is that of a data folder which had the same path and was deleted.
 */
export function isFresh(folder: string): boolean {
  const kept = readdirSync(folder).filter((name) => name !== 'holders' && !/^lock(\.|$)/.test(name));
  // What a Graft that has ever run keeps beside its Postgres.
  const { secrets, files, artifacts } = dataFolder(path.dirname(folder));
  return kept.length === 0 && ![secrets, files, artifacts].some((sibling) => existsSync(sibling));
}

/** Renames a cluster, whose server does not run, so that another can be made in its place. Answers where it is now. */
export async function setAside(dataFolder: string): Promise<string> {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const place = `${dataFolder}.${time}`;
  await rename(dataFolder, place);
  return place;
}
