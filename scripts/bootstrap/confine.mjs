// The program that confines trainers (apps/worker/native/confine.cc): compiled once for each of its versions, and kept in the cache
// folder. A machine where that fails trains without it, and its workers log that.
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findCompiler } from './tensorflow/prerequisites.mjs';

/**
 * @param {{ log: (line: string) => void, cacheDir: string, root: string }} options
 * @returns {Promise<boolean>} whether it was compiled now
 */
export async function ensureConfine({ log, cacheDir, root }) {
  const source = join(root, 'apps/worker/native/confine.cc');
  if (process.platform !== 'linux' || !existsSync(source)) return false;
  const digest = createHash('sha256')
    .update(await readFile(source))
    .digest('hex');
  // As apps/worker/src/processes/confinement.ts looks for it.
  const name = `${digest.slice(0, 12)}-${process.platform}-${process.arch}`;
  const program = join(cacheDir, 'confine', name, 'confine');
  if (existsSync(program)) return false;
  const draft = `${program}.${randomUUID()}`;
  try {
    await mkdir(dirname(program), { recursive: true });
    // By itself: what it loads could be exchanged by nobody.
    const flags = ['-std=c++17', '-O2', '-Wall', '-static', '-o', draft];
    await promisify(execFile)(findCompiler(), [...flags, source]);
    await rename(draft, program);
  } catch (error) {
    await rm(draft, { force: true });
    const [line] = String(/** @type {any} */ (error).stderr || error).split('\n');
    log(`the program that confines trainers could not be compiled, they will run without it: ${line}`);
    return false;
  }
  log('compiled the program that confines trainers');
  return true;
}
