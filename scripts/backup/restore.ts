import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureRoles } from '@graft/service';
import pg from 'pg';
import { type BackupManifest, copyFolder, dumpName, folderName, readManifest } from './back-up.ts';
import { runPostgresTool } from './postgres-tools.ts';

/**
 * Puts a backup into an empty database and an empty data folder; neither is touched when the other is not empty. The rows come
 * in one transaction, after the files: a restore that is cut off leaves an empty database, and is begun again with
 * `dataDir` emptied. Jobs that were running have leases that ran out long ago: the first worker sweeps them, and they go on from
 * the newest checkpoint that was copied, or from the beginning.
 */
export async function restore(
  folder: string,
  target: { databaseUrl: string; dataDir: string },
  pgRestore = 'pg_restore',
): Promise<BackupManifest> {
  const manifest = await readManifest(folder);
  await prepareDatabase(target.databaseUrl);
  const present = await readdir(target.dataDir).catch(() => []);
  // The embedded Postgres of the target may be there already: it is running.
  const inTheWay = present.filter((name) => ['files', 'artifacts', 'checkpoints', 'secrets'].includes(name));
  if (inTheWay.length > 0)
    throw new Error(`${target.dataDir} is not empty (${inTheWay.join(', ')}): restore into a new folder.`);
  await copyFolder(join(folder, folderName), target.dataDir, '', { files: 0, bytes: 0 });
  await runPostgresTool(
    pgRestore,
    [
      ...['--no-owner', '--no-privileges', '--exit-on-error', '--single-transaction'],
      `--dbname=${decodeURIComponent(new URL(target.databaseUrl).pathname.slice(1))}`,
      join(folder, dumpName),
    ],
    target.databaseUrl,
  );
  return manifest;
}

/** The roles that its policies name are the server's, and not in the dump: they are made where they are missing. */
async function prepareDatabase(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ tables: number }>(
      "SELECT count(*)::int AS tables FROM information_schema.tables WHERE table_schema = 'public'",
    );
    if (rows[0]!.tables > 0)
      throw new Error(
        'The database is not empty: restore into a new one, before any Graft has started on it.',
      );
    await ensureRoles(client);
  } finally {
    await client.end();
  }
}
