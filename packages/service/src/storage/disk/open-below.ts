import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import path from 'node:path';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const isLinux = process.platform === 'linux';

/** An open folder. Paths resolved through it stay inside it, even if another process renames it or replaces it with a link. */
export interface OpenFolder {
  readonly handle: FileHandle;
  readonly path: string;
}

/**
 * Opens `folder` below `root` step by step: no component of its path below `root` may be a link. Throws Node's ELOOP or ENOTDIR for a link.
 * On systems other than Linux, where Node has no equivalent of openat, it assumes that the parent folders do not change.
 */
export async function openBelow(root: string, folder: string): Promise<OpenFolder> {
  const names = path.relative(root, folder).split(path.sep).filter(Boolean);
  if (names.includes('..') || path.isAbsolute(path.relative(root, folder)))
    throw new Error(`${folder} does not lie below ${root}`);
  let opened: OpenFolder = { handle: await open(root, O_RDONLY | O_DIRECTORY), path: root };
  for (const name of names) {
    const next = await openIn(opened, name).finally(() => opened.handle.close());
    opened = next;
  }
  return opened;
}

/** Opens a folder in `parent`. Throws the errors of `openBelow`. */
export async function openIn(parent: OpenFolder, name: string): Promise<OpenFolder> {
  const handle = await open(at(parent, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  return { handle, path: path.join(parent.path, name) };
}

/** Returns a path to the entry `name` in the folder, or to the folder itself. */
export function at(folder: OpenFolder, name = ''): string {
  return isLinux ? path.join('/proc/self/fd', String(folder.handle.fd), name) : path.join(folder.path, name);
}

/** Opens a plain file in the folder for reading. Null: it is something else, or a link. Does not block on a pipe. */
export async function openFileIn(folder: OpenFolder, name: string): Promise<FileHandle | null> {
  // Checked first, because opening a device can have side effects.
  if (!(await lstat(at(folder, name))).isFile()) return null;
  const handle = await open(at(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  return null;
}

/** Returns a path to an open file that does not depend on its name. Null: the system has none. */
export function pathOf(file: FileHandle): string | null {
  return isLinux ? path.join('/proc/self/fd', String(file.fd)) : null;
}
