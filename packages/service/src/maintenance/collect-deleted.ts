import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { dataFolder } from '../data-folder/data-folder.ts';
import { databaseTime } from '../database/database.ts';
import type { Services } from '../services.ts';
import { removeBelow } from '../storage/disk/remove-below.ts';
import { checkOwnDataFolder } from '../storage/prove-data-folder.ts';
import { unfinishedJobs } from './collect-garbage.ts';

/** How often every process with a data folder looks, in milliseconds: what is deleted is gone from all machines that run soon after. */
export const collectDeletedMs = 60_000;
/** How long the files of a job that is over, or of none, stay: its trainer may be about to end. */
const endedMs = 10 * 60_000;
/** Names asked for at once. */
const batch = 500;

type Context = Pick<Services, 'db' | 'sql' | 'env'>;

/**
 * Removes from this machine's data folder what was deleted anywhere: of the cache, files and adapters that no row names any more and
 * copies for jobs that are over; of jobs without a row, whatever there is. A row that is gone is its own tombstone, so that a machine
 * which was away for long finds out too. What is removed by mistake is fetched again. `parts`: the process completes uploads, whose
 * parts are in its cache; others may not read their rows. Answers how many entries were removed.
 */
export async function collectDeleted(
  services: Context,
  { parts, now }: { parts: boolean; now?: Date },
): Promise<number> {
  await checkOwnDataFolder(services);
  const { db, env } = services;
  const { cache, staging, checkpoints } = dataFolder(env.dataDir);
  let removed = 0;
  const removeUnless = async (folder: string, readNeeded: (names: string[]) => Promise<Set<string>>) => {
    const names = await readdir(folder).catch(() => []);
    for (let at = 0; at < names.length; at += batch) {
      const some = names.slice(at, at + batch);
      const needed = await readNeeded(some);
      for (const name of some) {
        if (needed.has(name)) continue;
        // A trainer may still write some of them.
        await removeBelow(folder, path.join(folder, name));
        removed += 1;
      }
    }
  };

  const before = new Date((now ?? (await databaseTime(services))).getTime() - endedMs);
  /** Those among the names that were used or written since then. */
  const recent = async (folder: string, names: string[]) => {
    const times = await Promise.all(names.map((name) => stat(path.join(folder, name)).catch(() => null)));
    return names.filter((_, i) => times[i] && times[i].mtime >= before);
  };

  await removeUnless(path.join(cache, 'files'), async (digests) => {
    const naming = { where: { sha256: { in: digests } }, select: { sha256: true } };
    const rows = [
      ...(await db.file.findMany(naming)),
      ...(parts ? await db.uploadPart.findMany(naming) : []),
    ];
    // An API on this machine may be reading parts.
    const perhaps = parts ? [] : await recent(path.join(cache, 'files'), digests);
    return new Set([...rows.map(({ sha256 }) => sha256), ...perhaps]);
  });
  await removeUnless(path.join(cache, 'artifacts'), async (names) => {
    const artifact = { in: names };
    const rows = [
      // One that is deleted and can be restored is fetched again then.
      ...(await db.adapterVersion.findMany({
        where: { artifact, deletedAt: null },
        select: { artifact: true },
      })),
      ...(await db.checkpointAdapter.findMany({ where: { artifact }, select: { artifact: true } })),
    ];
    return new Set(rows.map((row) => row.artifact));
  });
  await removeUnless(path.join(cache, 'held'), async (ids) => await unfinishedJobs(services, ids, before));
  for (const folder of [staging, checkpoints]) {
    await removeUnless(folder, async (ids) => {
      const rows = await db.job.findMany({ where: { id: { in: ids } }, select: { id: true } });
      const needed = new Set(rows.map(({ id }) => id));
      // A worker's proof that it can write belongs to no job, and is over soon.
      for (const id of await recent(
        folder,
        ids.filter((each) => !needed.has(each)),
      ))
        needed.add(id);
      return needed;
    });
  }
  return removed;
}
