import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import { dataFolder } from '../data-folder/data-folder.ts';
import { readOrMake, readText } from '../data-folder/write-once.ts';
import type { Database } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import type { ServiceEnv } from '../environment/env.ts';
import { fsyncFolder } from './disk/fsync-folder.ts';

/**
 * Checks that the folder belongs to this installation: it contains a mark whose text the installation's row in Postgres records. The first
 * process of an installation creates the mark. Throws an Error for the operator: to a process with a different, empty folder all files
 * would be missing.
 */
export async function checkDataFolderMark({ db }: Pick<Database, 'db'>, root: string): Promise<void> {
  const { mark } = dataFolder(root);
  const named = await db.installation.findFirst({ select: { dataFolder: true } });
  let expected = named?.dataFolder ?? null;
  const found = expected === null ? await readOrMake(mark, randomUUID) : await readText(mark);
  if (expected === null && found !== null) {
    await db.installation.updateMany({ where: { dataFolder: null }, data: { dataFolder: found } });
    // Another process with another folder may have been first.
    expected = (await db.installation.findFirstOrThrow({ select: { dataFolder: true } })).dataFolder;
  }
  if (found === expected) return;
  const what =
    found === null
      ? `there is no ${path.basename(mark)} in it`
      : `${path.basename(mark)} in it is of another`;
  throw new Error(
    `${root} is not the data folder of this installation: ${what}. Mount the folder that the others use and name it in GRAFT_DATA_DIR; if this is the right one, write ${expected} into ${mark}.`,
  );
}

/**
 * As `checkDataFolderMark`, for this process's data folder, unless a bucket is configured, in which case each machine has a separate
 * folder. Call it before reporting missing objects or removing unused ones: in a wrong folder all objects would be missing, and the objects
 * there would be unused.
 */
export async function checkOwnDataFolder({
  db,
  env,
}: Pick<Database, 'db'> & { env: Pick<ServiceEnv, 'artifactsUrl' | 'dataDir'> }): Promise<void> {
  if (env.artifactsUrl !== undefined) return;
  await withSystemScope(async () => await checkDataFolderMark({ db }, env.dataDir));
}

/** Writes, syncs, renames and reads back a small file, and checks for `minFreeBytes` of free space. Throws an Error for the operator. */
export async function probeDataFolder(
  root: string,
  { name, minFreeBytes }: { name: string; minFreeBytes: number },
): Promise<void> {
  const { probes } = dataFolder(root);
  const file = path.join(probes, name);
  const text = randomUUID();
  try {
    await mkdir(probes, { recursive: true, mode: 0o700 });
    const draft = await open(`${file}.new`, 'w', 0o600);
    try {
      await draft.writeFile(text);
      await draft.sync();
    } finally {
      await draft.close();
    }
    await rename(`${file}.new`, file);
    await fsyncFolder(probes);
    if ((await readFile(file, 'utf8')) !== text) throw new Error('what was written is not what is read');
    await rm(file);
  } catch (error) {
    throw new Error(`The data folder ${root} does not keep what is written: ${(error as Error).message}`);
  }
  const { bavail, bsize } = await statfs(root);
  if (bavail * bsize >= minFreeBytes) return;
  throw new Error(
    `The data folder ${root} has ${gibibytes(bavail * bsize)} of free space, less than the ${gibibytes(minFreeBytes)} of GRAFT_MIN_FREE_BYTES: free some space.`,
  );
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toPrecision(3)} GiB`;
}
