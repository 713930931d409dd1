import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { removeDeletedModels } from '../base-models/added/model-fetcher.ts';
import { dataFolder } from '../data-folder/data-folder.ts';
import { databaseTime } from '../database/database.ts';
import type { Services } from '../services.ts';
import { removeBelow } from '../storage/disk/remove-below.ts';
import { checkOwnDataFolder } from '../storage/prove-data-folder.ts';
import { unfinishedJobs } from './collect-garbage.ts';

const graceMs = 24 * 3600 * 1000;

/**
 * Removes from this machine's data folder, a day after the last write: staged files, held cache copies and checkpoints of ended
 * jobs, unfinished drafts, and the folders that trainers of dead workers saw. Removes base models that are no longer added without that
 * delay. Every process with a data folder runs this, also concurrently. Returns the number of removed entries. Throws if the data folder
 * does not belong to this installation.
 */
export async function collectLocal(
  services: Pick<Services, 'db' | 'sql' | 'env'>,
  now?: Date,
): Promise<number> {
  await checkOwnDataFolder(services);
  const { staging, checkpoints, incoming, cache, slots } = dataFolder(services.env.dataDir);
  const before = new Date((now ?? (await databaseTime(services))).getTime() - graceMs);
  let removed = 0;
  const remove = async (entry: string) => {
    // A trainer may still write to some entries.
    await removeBelow(path.dirname(entry), entry);
    removed += 1;
  };
  for (const folder of [staging, checkpoints, path.join(cache, 'held')]) {
    const ids = await writtenBefore(folder, before);
    const needed = await unfinishedJobs(services, ids, before);
    for (const id of ids) if (!needed.has(id)) await remove(path.join(folder, id));
  }
  const workers = await writtenBefore(slots, before);
  const living = await services.db.worker.findMany({ where: { id: { in: workers } }, select: { id: true } });
  const alive = new Set(living.map(({ id }) => id));
  for (const id of workers) if (!alive.has(id)) await remove(path.join(slots, id));
  for (const folder of [incoming, path.join(cache, 'incoming')]) {
    for (const name of await writtenBefore(folder, before)) await remove(path.join(folder, name));
  }
  return removed + (await removeDeletedModels(services));
}

/** Returns the names in a folder that were last written before `time`. */
async function writtenBefore(folder: string, time: Date): Promise<string[]> {
  const names: string[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const about = await stat(path.join(folder, name)).catch(() => null);
    if (about && about.mtime < time) names.push(name);
  }
  return names;
}
