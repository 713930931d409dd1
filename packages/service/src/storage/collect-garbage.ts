import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { isTerminal, type JobState } from '../jobs/job.ts';
import type { Services } from '../services.ts';
import { dataFolder } from './data-folder.ts';

/** What no row needs is kept this long: an attempt may still be about to publish it. */
const graceMs = 24 * 3600 * 1000;

/**
 * Removes, a day after they were written: artifacts that no adapter version refers to, and uploads, staged outputs
 * and checkpoints that nobody will go on with. Run it under `runExclusive('collect')`. Answers what was removed.
 */
export async function collectGarbage(
  services: Pick<Services, 'db' | 'artifacts' | 'env'>,
  now: number = Date.now(),
): Promise<{ artifacts: number; folders: number }> {
  const { db, artifacts, env } = services;
  const { staging, checkpoints, incoming } = dataFolder(env.dataDir);
  const removed = { artifacts: 0, folders: 0 };
  for await (const { digest, storedAt } of artifacts.list()) {
    if (now - storedAt.getTime() < graceMs) continue;
    if (await db.adapterVersion.findFirst({ where: { digest }, select: { id: true } })) continue;
    await artifacts.remove(digest);
    removed.artifacts += 1;
  }

  const isLive = async (id: string) => {
    const job = await db.job.findUnique({ where: { id }, select: { state: true } });
    return job !== null && !isTerminal(job.state as JobState);
  };
  for (const folder of [staging, checkpoints, incoming]) {
    for (const name of await readdir(folder).catch(() => [])) {
      const entry = path.join(folder, name);
      const { mtimeMs } = await stat(entry);
      if (now - mtimeMs < graceMs || (await isLive(name))) continue;
      await rm(entry, { recursive: true, force: true });
      removed.folders += 1;
    }
  }
  return removed;
}
