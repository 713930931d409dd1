import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/**
 * How far `npm ci`, which says nothing where it has no terminal, has come.
 * @param {string} root
 * @returns {() => { installed: number, total: number }}
 */
export function countPackages(root) {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const folders = Object.entries(packages)
    .filter(([folder, { link }]) => folder.includes('node_modules/') && !link)
    // Binaries for other systems stay away.
    .filter(([, { os, cpu }]) => fits(os, process.platform) && fits(cpu, process.arch))
    .map(([folder]) => path.join(root, folder, 'package.json'));
  return () => ({ installed: folders.filter((file) => existsSync(file)).length, total: folders.length });
}

/** npm's lists: `["linux"]`, or `["!win32"]` for all but these. */
function fits(list, own) {
  if (!list) return true;
  return list.includes(own) || (list.every((name) => name.startsWith('!')) && !list.includes(`!${own}`));
}
