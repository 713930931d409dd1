import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { dataFolder } from '../data-folder/data-folder.ts';
import { databaseTime } from '../database/database.ts';
import type { Services } from '../services.ts';
import { removeBelow } from '../storage/disk/remove-below.ts';
import { checkOwnDataFolder } from '../storage/prove-data-folder.ts';
import { unfinishedJobs } from './collect-garbage.ts';

/** Interval, in milliseconds, at which every process with a data folder runs this: deleted data soon leave all running machines. */
export const collectDeletedMs = 60_000;
/** How long the files of an ended or deleted job stay: its trainer may still be stopping. */
const endedMs = 10 * 60_000;
const batch = 500;

type Context = Pick<Services, 'db' | 'sql' | 'env'>;

/**
 * Removes from this machine's data folder what was deleted anywhere: from the cache, files and adapters that no row refers to any more and
 * copies for ended jobs; and all data of jobs without a row. The missing row itself marks data as deleted, so that a machine that was
 * off for long removes them too. Data removed by mistake are fetched again. `parts`: whether the process completes uploads, whose parts
 * are in its cache; other processes may not read the rows of parts. Returns the number of removed entries.
 */
export async function collectDeleted(
  services: Context,
  { parts, now }: { parts: boolean; now?: Date },
): Promise<number> {
  await checkOwnDataFolder(services);
  const { db, env } = services;
  const { cache, staging, checkpoints, exportStaging } = dataFolder(env.dataDir);
  let removed = 0;
  const removeUnless = async (folder: string, readNeeded: (names: string[]) => Promise<Set<string>>) => {
    const names = await readdir(folder).catch(() => []);
    for (let at = 0; at < names.length; at += batch) {
      const some = names.slice(at, at + batch);
      const needed = await readNeeded(some);
      for (const name of some) {
        if (needed.has(name)) continue;
        // A trainer may still write to some entries.
        await removeBelow(folder, path.join(folder, name));
        removed += 1;
      }
    }
  };

  const before = new Date((now ?? (await databaseTime(services))).getTime() - endedMs);
  /** Returns the names whose entries were used or written since `before`. */
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
    // An API process on this machine may be reading parts.
    const perhaps = parts ? [] : await recent(path.join(cache, 'files'), digests);
    return new Set([...rows.map(({ sha256 }) => sha256), ...perhaps]);
  });
  await removeUnless(path.join(cache, 'artifacts'), async (names) => {
    const artifact = { in: names };
    const rows = [
      // A deleted version that is restored is fetched again.
      ...(await db.adapterVersion.findMany({
        where: { artifact, deletedAt: null },
        select: { artifact: true },
      })),
      ...(await db.checkpointAdapter.findMany({ where: { artifact }, select: { artifact: true } })),
    ];
    return new Set(rows.map((row) => row.artifact));
  });
  await removeUnless(path.join(cache, 'exports'), async (names) => {
    const naming = { where: { artifact: { in: names } }, select: { artifact: true } };
    return new Set((await db.adapterExport.findMany(naming)).map(({ artifact }) => artifact!));
  });
  await removeUnless(exportStaging, async (ids) => {
    const running = {
      where: { id: { in: ids }, status: { in: ['queued', 'running'] } },
      select: { id: true },
    };
    const rows = await db.adapterExport.findMany(running);
    // Its writer may still be stopping.
    return new Set([...rows.map(({ id }) => id), ...(await recent(exportStaging, ids))]);
  });
  await removeUnless(path.join(cache, 'held'), async (ids) => await unfinishedJobs(services, ids, before));
  for (const folder of [staging, checkpoints]) {
    await removeUnless(folder, async (ids) => {
      const rows = await db.job.findMany({ where: { id: { in: ids } }, select: { id: true } });
      const needed = new Set(rows.map(({ id }) => id));
      // A worker's write test of the folder belongs to no job, and ends soon.
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
