import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

const roots = ['apps', 'bench', 'chaos', 'examples', 'packages', 'scripts', 'test'];
const leftOut = new Set(['node_modules', 'dist']);

/** Every file of TypeScript, absolute, in a fixed order. @param {string} root @returns {string[]} */
export function findSources(root) {
  const found = [];
  const collect = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!leftOut.has(entry.name)) collect(file);
      } else if (/\.tsx?$/.test(entry.name) && !entry.name.endsWith('.d.ts')) found.push(file);
    }
  };
  for (const name of roots) if (isFolder(path.join(root, name))) collect(path.join(root, name));
  return found.sort();
}

/**
 * Digest of the inputs of the compiled files: sizes and times of the sources, where they lie, and all that decides how
 * they are compiled. Times in whole seconds, because layers of images keep no fractions.
 */
export function digestOf(root, sources) {
  const hash = createHash('sha256').update(root);
  for (const file of sources) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file} ${size} ${Math.floor(mtimeMs / 1000)}\n`);
  }
  const here = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.mjs'));
  const rules = [...here.map((name) => path.join(import.meta.dirname, name)), ...manifestsOf(root)];
  for (const file of [...rules.sort(), path.join(root, 'package-lock.json')]) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}

/** The package.json of each of Graft's own packages. */
export function manifestsOf(root) {
  return ['apps', 'packages'].flatMap((group) =>
    readdirSync(path.join(root, group)).flatMap((name) => {
      const manifest = path.join(root, group, name, 'package.json');
      return statSync(manifest, { throwIfNoEntry: false }) ? [manifest] : [];
    }),
  );
}

const isFolder = (folder) => statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
