import { createWriteStream } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fsyncFolder } from '../../storage/disk/fsync-folder.ts';
import { RuntimeFault } from '../runtimes/runtime.ts';

/** The files of an adapter that runtimes read, in PEFT's format. */
export const adapterFiles = ['adapter_config.json', 'adapter_model.safetensors'] as const;

/** Lies in a version's folder since the runtime has unloaded it. */
const unloadedMark = '.unloaded';
/** Begins the names of folders that are being written. */
const unfinished = '.writing-';

/** The part of the shared folder that a target has. */
export const targetFolder = (root: string, { teamId, id }: { teamId: string; id: string }) =>
  path.join(root, teamId, id);

/**
 * Writes the folder of a version, completely or not at all: the files are written and synchronised under another name, which only `token` has,
 * and renamed. Does nothing but remove the mark of an unloaded version if the folder exists. Anybody may read the files: who may enter the
 * shared folder is the operator's decision. Throws RuntimeFault.
 */
export async function writeVersion(
  target: string,
  name: string,
  token: string,
  openFile: (file: string) => Promise<NodeJS.ReadableStream>,
): Promise<void> {
  const folder = path.join(target, name);
  try {
    await rm(path.join(folder, unloadedMark), { force: true });
    if (await exists(folder)) return;
    const partial = path.join(target, `${unfinished}${token}`);
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true, mode: 0o755 });
    for (const file of adapterFiles) {
      const to = path.join(partial, file);
      await pipeline(await openFile(file), createWriteStream(to, { mode: 0o644 }));
      const handle = await open(to, 'r');
      await handle.sync().finally(() => handle.close());
    }
    await fsyncFolder(partial);
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

/**
 * Removes the folders of a target that are neither in `inUse` nor were unloaded less than `afterSeconds` ago: a request that started with an
 * unloaded adapter may still read its files. With `afterSeconds` 0 all that are not in use.
 */
export async function removeVersions(
  target: string,
  { inUse, afterSeconds }: { inUse: ReadonlySet<string>; afterSeconds: number },
): Promise<void> {
  for (const name of await namesIn(target)) {
    if (inUse.has(name)) continue;
    const folder = path.join(target, name);
    const since = name.startsWith(unfinished) ? await changedAt(folder) : await unloadedAt(folder);
    if (since !== null && Date.now() - since >= afterSeconds * 1000)
      await rm(folder, { recursive: true, force: true });
  }
  if (afterSeconds === 0 && inUse.size === 0) await rm(target, { recursive: true, force: true });
}

/** When the mark of an unloaded version was made, in milliseconds; makes it if it is missing. */
async function unloadedAt(folder: string): Promise<number | null> {
  const mark = path.join(folder, unloadedMark);
  const before = await changedAt(mark);
  if (before !== null) return before;
  // Not in a folder that another process has just removed.
  await writeFile(mark, '').catch(() => {});
  return await changedAt(mark);
}

async function changedAt(file: string): Promise<number | null> {
  const stat = await lstat(file).catch(() => null);
  return stat?.mtimeMs ?? null;
}

const exists = async (file: string) => (await changedAt(file)) !== null;

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw folderFault(error);
  }
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
