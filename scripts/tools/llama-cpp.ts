import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../bootstrap/cache-folder.mjs';

/** llama.cpp v0.4.0 (September 2026), built for CPUs, from node-llama-cpp's package for this platform. */
const version = '3.21.1';

/** SHA-256 of the packages. */
const packages: Record<string, string> = {
  'linux-x64': '4b5b65a8b2611d8af94349b02d815c0f424a30a0a19aef2be5db25ecfef6730f',
};

/**
 * The Node addon of llama.cpp, fetched once from the package registry into `<cache>/tools`, under a name with its version and hash; null
 * on a platform without a known package. Throws one line if it cannot be fetched, or is another one.
 */
export function llamaAddon(): string | null {
  const platform = `${process.platform}-${process.arch}`;
  const expected = packages[platform];
  if (expected === undefined) return null;
  const tools = join(cacheFolder(), 'tools');
  const place = join(tools, `llama-cpp-${platform}-${version}-${expected.slice(0, 12)}`);
  const addon = join(place, 'bins', platform, 'llama-addon.node');
  if (existsSync(addon)) return addon;
  const folder = join(tools, `.llama-cpp.${randomBytes(4).toString('hex')}`);
  mkdirSync(folder, { recursive: true });
  try {
    const name = `@node-llama-cpp/${platform}@${version}`;
    const args = ['pack', name, '--silent', '--pack-destination', folder];
    const archive = execFileSync('npm', args, { encoding: 'utf8', cwd: folder }).trim().split('\n').at(-1)!;
    const file = join(folder, archive);
    const found = createHash('sha256').update(readFileSync(file)).digest('hex');
    if (found !== expected) throw new Error(`${name} has the SHA-256 ${found} instead of ${expected}`);
    execFileSync('tar', ['-xzf', file, '-C', folder]);
    // Beside its place first, so that a run that is cut off, or two at once, leave nothing half-made.
    if (!existsSync(place)) renameSync(join(folder, 'package'), place);
    return addon;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
