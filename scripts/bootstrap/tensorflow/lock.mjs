import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Runs `body` while no other process of this machine holds the lock folder `path`. A lock whose process has died is taken.
 * It only saves work: when several processes find a dead one's lock in the same millisecond, two of them may run.
 * @template T
 * @param {{ log: (line: string) => void, path: string, pollMs?: number }} options
 * @param {() => Promise<T>} body
 * @returns {Promise<T>}
 */
export async function withLock({ log, path, pollMs = 500 }, body) {
  await mkdir(dirname(path), { recursive: true });
  let told = false;
  while (!(await take(path))) {
    const holder = await holderOf(path);
    if (holder !== null && !isAlive(holder)) {
      await release(path);
      continue;
    }
    if (!told) log(`waiting for another process (${holder ?? 'starting'}) that is doing this already`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  try {
    return await body();
  } finally {
    await release(path);
  }
}

/** @param {string} path */
async function take(path) {
  // The process id is written before the folder gets its name.
  const own = `${path}.${randomUUID()}`;
  await mkdir(own);
  await writeFile(join(own, 'pid'), String(process.pid));
  try {
    await rename(own, path); // fails while `path` holds a file
    return true;
  } catch {
    await rm(own, { recursive: true });
    return false;
  }
}

/**
 * The folder is renamed before it is removed: else another process could take it meanwhile, and lose it.
 * @param {string} path
 */
async function release(path) {
  const gone = `${path}.${randomUUID()}`;
  try {
    await rename(path, gone);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return;
    throw error;
  }
  await rm(gone, { recursive: true });
}

/** @param {string} path */
async function holderOf(path) {
  try {
    return Number(await readFile(join(path, 'pid'), 'utf8'));
  } catch {
    return null; // released just now
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
