import { constants } from 'node:fs';
import { chmod, copyFile, mkdir, opendir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { dataFolder } from '@graft/service/data-folder';
import { type DatabaseContents, dumpDatabase } from './dump-database.ts';
import { flush } from './flush.ts';
import { encryptSecrets } from './kept-secrets.ts';

/** Contents of a backup, beside the rows and the files. Written last: without it a backup is not whole. */
export interface BackupManifest {
  format: 2;
  createdAt: string;
  /** Bytes and number of the files copied from the data folder. */
  files: number;
  bytes: number;
  /** URL of the bucket with files, artifacts and checkpoints, which is backed up apart; null: they are in the data folder. */
  artifactsUrl: string | null;
  /** encrypted: in `secrets.enc`; left out: the operator keeps them elsewhere. */
  secrets: 'encrypted' | 'left out';
  database: DatabaseContents;
}

export interface BackupSource {
  databaseUrl: string;
  dataDir: string;
  artifactsUrl: string | null;
  /** Encrypts the secrets of the data folder. Null: they are left out. */
  passphrase: string | null;
}

export const databaseName = 'database';
export const manifestName = 'manifest.json';
export const folderName = 'data';

/** Folders of the data folder. The rows of the embedded Postgres are copied apart; what is staged or incoming belongs to nothing yet. */
export const copied = ['files', 'artifacts', 'checkpoints'];

/** Nobody but its owner reads a backup, whatever modes its files had. */
const ownersAlone = () => 0o600;

/**
 * Backs up a Graft that may be running: the database first, then the files. What a row names was there before the row and is
 * not changed afterwards, so everything in the database's copy is among the files that are copied after it. `output` must be empty or
 * absent, and is again where this fails, or where `aborted` is.
 */
export async function backUp(
  source: BackupSource,
  output: string,
  aborted?: AbortSignal,
): Promise<BackupManifest> {
  if (!relative(source.dataDir, resolve(output)).startsWith('..'))
    throw new Error(
      `${output} is in the data folder ${source.dataDir}, and would be lost with it: name another place.`,
    );
  const made = await mkdir(output, { recursive: true, mode: 0o700 });
  if ((await readdir(output)).length > 0) throw new Error(`${output} is not empty.`);
  await chmod(output, 0o700);
  try {
    return await fill(source, output, aborted);
  } catch (error) {
    if (made !== undefined) await rm(made, { recursive: true, force: true });
    else
      for (const name of await readdir(output))
        await rm(join(output, name), { recursive: true, force: true });
    throw aborted?.aborted ? aborted.reason : error;
  }
}

async function fill(source: BackupSource, output: string, aborted?: AbortSignal): Promise<BackupManifest> {
  const database = await dumpDatabase(source.databaseUrl, join(output, databaseName), aborted);
  const count = { files: 0, bytes: 0 };
  const { incoming, mark } = dataFolder(source.dataDir);
  const found = await readFile(mark, 'utf8').catch(() => null);
  if (source.artifactsUrl === null && database.dataFolder !== null && found?.trim() !== database.dataFolder)
    throw new Error(
      `${source.dataDir} is not the data folder of this database: set GRAFT_DATA_DIR as its API has it.`,
    );
  await mkdir(join(output, folderName), { mode: 0o700 });
  // Without it a restored folder would not be that of the restored installation.
  await copyOne(mark, join(output, folderName, basename(mark)), count, 0o600);
  for (const name of copied)
    await copyFolder(join(source.dataDir, name), join(output, folderName, name), {
      except: incoming,
      count,
      modeOf: ownersAlone,
      aborted,
    });
  if (source.passphrase !== null) await encryptSecrets(source.dataDir, output, source.passphrase);
  const manifest: BackupManifest = {
    format: 2,
    createdAt: new Date().toISOString(),
    ...count,
    artifactsUrl: source.artifactsUrl,
    secrets: source.passphrase === null ? 'left out' : 'encrypted',
    database,
  };
  await writeFile(join(output, manifestName), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
  await flush(join(output, manifestName));
  return manifest;
}

interface Copying {
  /** A path that is left out. */
  except: string;
  count: { files: number; bytes: number };
  /** The mode of a copy, by where it lies. */
  modeOf: (target: string) => number;
  aborted: AbortSignal | undefined;
}

/** Copies what is there; what a running Graft removes meanwhile (an old checkpoint, a deleted file) is passed over. */
export async function copyFolder(from: string, to: string, copying: Copying): Promise<void> {
  const { except, count, modeOf, aborted } = copying;
  const entries = await opendir(from).catch(ifGone);
  if (!entries) return;
  await mkdir(to, { recursive: true, mode: 0o700 });
  try {
    for await (const entry of entries) {
      const [source, target] = [join(from, entry.name), join(to, entry.name)];
      aborted?.throwIfAborted();
      if (source === except) continue;
      if (entry.isDirectory()) await copyFolder(source, target, copying);
      else if (entry.isFile()) await copyOne(source, target, count, modeOf(target));
    }
  } catch (error) {
    ifGone(error as NodeJS.ErrnoException);
  }
}

async function copyOne(from: string, to: string, count: Copying['count'], mode: number): Promise<void> {
  try {
    // Shares the blocks where the file system can.
    await copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    await chmod(to, mode);
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

export async function readManifest(folder: string): Promise<BackupManifest> {
  const text = await readFile(join(folder, manifestName), 'utf8').catch(() => null);
  if (text === null) throw new Error(`${folder} holds no whole backup: ${manifestName} is missing.`);
  const manifest = JSON.parse(text) as BackupManifest | { format: number };
  if (manifest.format === 1)
    throw new Error(
      `${folder} was made by an earlier Graft, by pg_dump: docs/backup.md shows how to restore it by hand.`,
    );
  if (manifest.format !== 2)
    throw new Error(`${folder} was made by a newer Graft (format ${manifest.format}).`);
  return manifest as BackupManifest;
}
