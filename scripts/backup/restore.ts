import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { dataFolder } from '@graft/service';
import {
  type BackupManifest,
  copied,
  copyFolder,
  databaseName,
  folderName,
  readManifest,
} from './back-up.ts';
import { restoreDatabase } from './restore-database.ts';

/**
 * Puts a backup into an empty database and an empty data folder; neither is touched when the other is not empty. The rows come
 * in one transaction, after the files, and where that fails, or is `aborted`, the files are removed again: a restore leaves all or nothing,
 * but when it is killed, files. Jobs that were running have leases that ran out long ago: the first worker sweeps them, and they go on from
 * the newest checkpoint that was copied, or from the beginning.
 */
export async function restore(
  folder: string,
  target: { databaseUrl: string; dataDir: string },
  aborted?: AbortSignal,
): Promise<BackupManifest & { foreignTables: string[] }> {
  const manifest = await readManifest(folder);
  const present = await readdir(target.dataDir).catch(() => []);
  // The embedded Postgres of the target may be there already: it is running.
  const { mark } = dataFolder(target.dataDir);
  const inTheWay = present.filter((name) => copied.includes(name) || name === basename(mark));
  if (inTheWay.length > 0)
    throw new Error(`${target.dataDir} is not empty (${inTheWay.join(', ')}): restore into a new folder.`);
  const copyFiles = () =>
    copyFolder(join(folder, folderName), target.dataDir, '', { files: 0, bytes: 0 }, aborted);
  const rows = { folder: join(folder, databaseName), contents: manifest.database, beforeRows: copyFiles };
  try {
    return { ...manifest, foreignTables: await restoreDatabase(target.databaseUrl, rows, aborted) };
  } catch (error) {
    for (const place of [...copied.map((name) => join(target.dataDir, name)), mark])
      await rm(place, { recursive: true, force: true });
    throw aborted?.aborted ? aborted.reason : error;
  }
}
