import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Services } from '../services.ts';

/** What no row needs is kept this long: an attempt may still be about to publish it. */
const graceMs = 24 * 3600 * 1000;

/**
 * Removes, a day after they were written: artifacts that no adapter version refers to, and uploads, staged outputs
 * and checkpoints that nobody will go on with. Run it under `runExclusive('collect')`. Answers what was removed.
 */
export async function collectGarbage(
  services: Pick<Services, 'sql' | 'artifacts' | 'env'>,
  now: number = Date.now(),
): Promise<{ artifacts: number; folders: number }> {
  const { sql, artifacts, env } = services;
  const removed = { artifacts: 0, folders: 0 };
  for await (const { digest, storedAt } of artifacts.list()) {
    if (now - storedAt.getTime() < graceMs) continue;
    const { rowCount } = await sql.query('SELECT 1 FROM adapter_versions WHERE digest = $1 LIMIT 1', [
      digest,
    ]);
    if (rowCount) continue;
    await artifacts.remove(digest);
    removed.artifacts += 1;
  }

  const isLive = async (jobId: string) => {
    const { rowCount } = await sql.query(
      "SELECT 1 FROM jobs WHERE id = $1 AND state NOT IN ('succeeded', 'failed', 'cancelled')",
      [jobId],
    );
    return rowCount === 1;
  };
  for (const kind of ['staging', 'checkpoints', 'files/incoming']) {
    const folder = path.join(env.dataDir, kind);
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
