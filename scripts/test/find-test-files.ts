import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

const roots = ['packages', 'apps', 'scripts', 'bench', 'chaos', 'examples', 'test'];

/** Every *.test.ts of the repository, as absolute paths in a fixed order. */
export async function findTestFiles(root: string): Promise<string[]> {
  const found: string[] = [];
  for (const folder of roots) await collect(join(root, folder), found);
  return found.sort();
}

async function collect(folder: string, found: string[]): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const entry of entries) {
    if (entry.isDirectory() && entry.name !== 'node_modules') await collect(join(folder, entry.name), found);
    if (entry.isFile() && entry.name.endsWith('.test.ts')) found.push(join(folder, entry.name));
  }
}
