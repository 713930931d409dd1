import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { removeForgotten } from '../base-models/added/model-fetcher.ts';
import { dataFolder } from '../data-folder/data-folder.ts';
import { databaseTime } from '../database/database.ts';
import type { Services } from '../services.ts';
import { removeBelow } from '../storage/disk/remove-below.ts';
import { checkOwnDataFolder } from '../storage/prove-data-folder.ts';
import { unfinishedJobs } from './collect-garbage.ts';

const graceMs = 24 * 3600 * 1000;

/**
 * Removes from this machine's data folder, a day after they were last written: what jobs that are over have staged, held of the
 * cache or left as checkpoints, drafts that nobody finished, and what trainers of dead workers saw of it; at once, base models that are added no more. Every process
 * with a data folder runs it; two at once do no harm. Answers how many entries were removed. Throws when the data folder is not
 * this installation's.
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
    // A trainer may still write some of them.
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
  return removed + (await removeForgotten(services));
}

/** Names in a folder whose time of writing is before `time`. */
async function writtenBefore(folder: string, time: Date): Promise<string[]> {
  const names: string[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const about = await stat(path.join(folder, name)).catch(() => null);
    if (about && about.mtime < time) names.push(name);
  }
  return names;
}
