import { randomUUID } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fsyncFolder } from '../../storage/disk/fsync-folder.ts';
import { RuntimeFault } from '../runtimes/runtime.ts';

/** The files of an adapter that runtimes read, in PEFT's format. */
export const adapterFiles = ['adapter_config.json', 'adapter_model.safetensors'] as const;

/** Lies in a version's folder since the runtime has unloaded it. */
const unloadedMark = '.unloaded';
/** Begins the names of folders that are being written or removed. */
const unfinished = '.writing-';

export interface VersionFiles {
  /** `bytes` is null if the size is known only once the file is written. */
  sizes: readonly { path: string; bytes: number | null }[];
  write(folder: string, signal: AbortSignal): Promise<void>;
}

export const targetFolder = (root: string, { teamId, id }: { teamId: string; id: string }) =>
  path.join(root, teamId, id);

/**
 * Writes the folder of a version, completely or not at all: the files are written and synchronised under another name, which only `token` has,
 * and renamed. Does nothing but remove the mark of an unloaded version if the folder is complete. Anybody may read the files: who may enter
 * the shared folder is the operator's decision. Throws RuntimeFault, errors of the store, and the reason of `signal`.
 */
export async function writeVersion(
  target: string,
  name: string,
  { sizes, write }: VersionFiles,
  { token, signal }: { token: string; signal: AbortSignal },
): Promise<void> {
  const folder = path.join(target, name);
  try {
    await rm(path.join(folder, unloadedMark), { force: true });
    if (await isComplete(folder, sizes)) return;
    await discard(target, name);
    const partial = path.join(target, `${unfinished}${token}`);
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true, mode: 0o755 });
    await write(partial, signal);
    for (const { path: file } of sizes) {
      const handle = await open(path.join(partial, file), 'r');
      await handle.chmod(0o644);
      await handle.sync().finally(() => handle.close());
    }
    await fsyncFolder(partial);
    // Another process may have removed the target's folder meanwhile, if this one stood still.
    signal.throwIfAborted();
    await rename(partial, folder).catch(async (error: NodeJS.ErrnoException) => {
      // Another process has written the same files meanwhile.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
      await rm(partial, { recursive: true, force: true });
    });
    await fsyncFolder(target);
  } catch (error) {
    throw folderFault(error);
  }
}

async function isComplete(folder: string, sizes: VersionFiles['sizes']): Promise<boolean> {
  for (const { path: file, bytes } of sizes) {
    const stat = await lstat(path.join(folder, file)).catch(() => null);
    if (!stat?.isFile() || (bytes !== null && stat.size !== bytes)) return false;
  }
  return true;
}

/** Removes a folder, which no longer has its name from the beginning on: a process that is killed leaves no part of a version. */
async function discard(target: string, name: string): Promise<void> {
  const away = path.join(target, `${unfinished}${randomUUID()}`);
  try {
    await rename(path.join(target, name), away);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await rm(away, { recursive: true, force: true });
}

/**
 * Removes the folders of a target that are neither in `inUse` nor were unloaded less than `afterSeconds` ago: a request that started with an
 * unloaded adapter may still read its files. `others`: whether the runtime has just unloaded those that are not in use; if that is unknown,
 * only those remain candidates that it was seen without before. Returns whether nothing remains. Throws RuntimeFault.
 */
export async function removeVersions(
  target: string,
  {
    inUse = new Set(),
    afterSeconds,
    others,
  }: { inUse?: ReadonlySet<string>; afterSeconds: number; others: 'unloaded' | 'unknown' },
): Promise<boolean> {
  try {
    let isEmpty = true;
    for (const entry of await entriesOf(target)) {
      const isUsed = inUse.has(entry.name);
      // A mark from before it was loaded again would end its files too early next time.
      if (isUsed) await rm(path.join(target, entry.name, unloadedMark), { force: true });
      const since = isUsed ? null : await unusedSince(target, entry, others);
      if (since !== null && Date.now() - since >= afterSeconds * 1000) await discard(target, entry.name);
      else isEmpty = false;
    }
    if (isEmpty) await rmdir(target).catch(ignoreMissing);
    return isEmpty;
  } catch (error) {
    throw folderFault(error);
  }
}

/** Since when no runtime reads what has this name, in milliseconds; null if that is not known. */
async function unusedSince(
  target: string,
  entry: Dirent,
  others: 'unloaded' | 'unknown',
): Promise<number | null> {
  const folder = path.join(target, entry.name);
  if (entry.name.startsWith(unfinished)) return await changedAt(folder);
  if (!entry.isDirectory()) return others === 'unloaded' ? await changedAt(folder) : null;
  const mark = path.join(folder, unloadedMark);
  const before = await changedAt(mark);
  if (before !== null || others === 'unknown') return before;
  // Not in a folder that another process has just removed.
  await writeFile(mark, '').catch(ignoreMissing);
  return await changedAt(mark);
}

/** Rounded down as `Date.now()` is, so that a file that was just written is not younger than now. */
async function changedAt(file: string): Promise<number | null> {
  const stat = await lstat(file).catch(() => null);
  return stat ? Math.floor(stat.mtimeMs) : null;
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    ignoreMissing(error);
    return [];
  }
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

/** The path is the operator's, and not shown. */
function folderFault(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  return new RuntimeFault(
    'away',
    `The shared folder of deployments cannot be used (${code}): ask the operator of this server.`,
  );
}
