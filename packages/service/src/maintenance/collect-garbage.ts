import { purgeDeletedVersions } from '../adapters/delete-adapters.ts';
import { databaseTime } from '../database/database.ts';
import { isTerminal, type JobState } from '../jobs/job.ts';
import type { Services } from '../services.ts';
import type { ArtifactStore } from '../storage/artifact-store.ts';
import type { FileStore } from '../storage/file-store.ts';
import { checkOwnDataFolder } from '../storage/prove-data-folder.ts';

/** How long objects without a row are kept: a process may be about to insert the row. See `object-name.ts`. */
const graceMs = 24 * 3600 * 1000;
const batch = 500;

/**
 * Deletes the rows of adapter versions whose retention after deletion is over, and from the stores: files, parts of uploads and
 * artifacts and exports created more than a day ago that no row refers to, checkpoints of jobs that ended more than a day ago, and the data of
 * unfinished uploads. Safe concurrently with itself and with any publication, because an object without a row at that age never gets
 * one. `now` is the time of Postgres. Returns the number of removed objects. Throws if the data folder does not belong to this
 * installation.
 */
export async function collectGarbage(
  services: Pick<
    Services,
    'db' | 'sql' | 'env' | 'files' | 'artifacts' | 'exports' | 'checkpoints' | 'abandonUploads'
  >,
  now?: Date,
): Promise<{ files: number; artifacts: number; exports: number; checkpoints: number }> {
  const { db, files, artifacts, exports, checkpoints } = services;
  await checkOwnDataFolder(services);
  const time = now ?? (await databaseTime(services));
  const before = new Date(time.getTime() - graceMs);
  await purgeDeletedVersions(services, time);
  const removed = { files: 0, artifacts: 0, exports: 0, checkpoints: 0 };

  const removeUnnamed = async (
    { list, remove }: Pick<FileStore | ArtifactStore, 'list' | 'remove'>,
    readNamed: (names: string[]) => Promise<string[]>,
  ) => {
    let count = 0;
    for await (const batch of inBatches(list())) {
      const old = batch.filter(({ storedAt }) => storedAt < before).map(({ name }) => name);
      const named = new Set(await readNamed(old));
      for (const name of old) {
        if (named.has(name)) continue;
        await remove(name);
        count += 1;
      }
    }
    return count;
  };
  removed.files = await removeUnnamed(files, async (names) => {
    const naming = { where: { path: { in: names } }, select: { path: true } };
    const rows = [...(await db.file.findMany(naming)), ...(await db.uploadPart.findMany(naming))];
    return rows.map(({ path }) => path);
  });
  removed.artifacts = await removeUnnamed(artifacts, async (names) => {
    const naming = { where: { artifact: { in: names } }, select: { artifact: true } };
    const versions = await db.adapterVersion.findMany(naming);
    return [...versions, ...(await db.checkpointAdapter.findMany(naming))].map(({ artifact }) => artifact);
  });
  removed.exports = await removeUnnamed(exports, async (names) => {
    const naming = { where: { artifact: { in: names } }, select: { artifact: true } };
    return (await db.adapterExport.findMany(naming)).map(({ artifact }) => artifact!);
  });
  for await (const ids of inBatches(checkpoints.jobs())) {
    const needed = await unfinishedJobs(services, ids, before);
    for (const id of ids) {
      if (needed.has(id)) continue;
      await checkpoints.remove(`checkpoints/${id}`);
      removed.checkpoints += 1;
    }
  }
  await services.abandonUploads(before);
  return removed;
}

/** Returns which of these jobs had not ended at `time`. A job that has ended, or has no row, never continues. */
export async function unfinishedJobs(
  { db }: Pick<Services, 'db'>,
  ids: readonly string[],
  time: Date,
): Promise<Set<string>> {
  const jobs = await db.job.findMany({
    where: { id: { in: [...ids] } },
    select: { id: true, state: true, finishedAt: true },
  });
  const unfinished = jobs.filter(
    ({ state, finishedAt }) => !isTerminal(state as JobState) || finishedAt === null || finishedAt >= time,
  );
  return new Set(unfinished.map(({ id }) => id));
}

async function* inBatches<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let waiting: T[] = [];
  for await (const item of items) {
    waiting.push(item);
    if (waiting.length === batch) {
      yield waiting;
      waiting = [];
    }
  }
  if (waiting.length > 0) yield waiting;
}
