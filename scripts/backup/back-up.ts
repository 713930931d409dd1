import { constants } from 'node:fs';
import { copyFile, mkdir, open, opendir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { dataFolder } from '@graft/service';
import { runPostgresTool } from './postgres-tools.ts';

/** What a backup holds, beside the dump and the folders. Written last: without it a backup is not whole. */
export interface BackupManifest {
  format: 1;
  createdAt: string;
  /** Bytes and number of the files copied from the data folder. */
  files: number;
  bytes: number;
  /** Whether files, artifacts and checkpoints lie in the bucket that this names, which is backed up apart. */
  artifactsUrl: string | null;
}

export interface BackupSource {
  databaseUrl: string;
  dataDir: string;
  artifactsUrl: string | null;
}

export const dumpName = 'database.dump';
export const manifestName = 'manifest.json';
export const folderName = 'data';

/** Of the data folder. The embedded Postgres is in the dump; what is staged or incoming belongs to nothing yet. */
const copied = ['files', 'artifacts', 'checkpoints', 'secrets'];

/**
 * Backs up a Graft that may be running: the database first, then the files. What a row names was there before the row and is
 * not changed afterwards, so everything in the dump is among the files that are copied after it. `output` must be empty or absent.
 */
export async function backUp(
  source: BackupSource,
  output: string,
  pgDump = 'pg_dump',
): Promise<BackupManifest> {
  await mkdir(output, { recursive: true, mode: 0o700 });
  if ((await readdir(output)).length > 0) throw new Error(`${output} is not empty.`);
  await runPostgresTool(
    pgDump,
    ['--format=custom', '--no-owner', '--no-privileges', `--file=${join(output, dumpName)}`],
    source.databaseUrl,
  );
  const count = { files: 0, bytes: 0 };
  const { incoming, mark } = dataFolder(source.dataDir);
  await mkdir(join(output, folderName), { mode: 0o700 });
  // Without it a restored folder would not be that of the restored installation.
  await copyOne(mark, join(output, folderName, basename(mark)), count);
  for (const name of copied)
    await copyFolder(join(source.dataDir, name), join(output, folderName, name), incoming, count);
  const manifest: BackupManifest = {
    format: 1,
    createdAt: new Date().toISOString(),
    ...count,
    artifactsUrl: source.artifactsUrl,
  };
  await writeFile(join(output, manifestName), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
  await flush(join(output, manifestName));
  await flush(join(output, dumpName));
  return manifest;
}

/** Copies what is there; what a running Graft removes meanwhile (an old checkpoint, a deleted file) is passed over. */
export async function copyFolder(
  from: string,
  to: string,
  except: string,
  count: { files: number; bytes: number },
): Promise<void> {
  const entries = await opendir(from).catch(ifGone);
  if (!entries) return;
  await mkdir(to, { recursive: true, mode: 0o700 });
  try {
    for await (const entry of entries) {
      const [source, target] = [join(from, entry.name), join(to, entry.name)];
      if (source === except) continue;
      if (entry.isDirectory()) await copyFolder(source, target, except, count);
      else if (entry.isFile()) await copyOne(source, target, count);
    }
  } catch (error) {
    ifGone(error as NodeJS.ErrnoException);
  }
}

async function copyOne(from: string, to: string, count: { files: number; bytes: number }): Promise<void> {
  try {
    // Shares the blocks where the file system can.
    await copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  } catch (error) {
    return void ifGone(error as NodeJS.ErrnoException);
  }
  count.files += 1;
  count.bytes += await flush(to);
}

function ifGone(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

async function flush(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

export async function readManifest(folder: string): Promise<BackupManifest> {
  const text = await readFile(join(folder, manifestName), 'utf8').catch(() => null);
  if (text === null) throw new Error(`${folder} holds no whole backup: ${manifestName} is missing.`);
  const manifest = JSON.parse(text) as BackupManifest;
  if (manifest.format !== 1)
    throw new Error(`${folder} was made by a newer Graft (format ${manifest.format}).`);
  return manifest;
}
