import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Runs `body` while no other process of this machine holds the lock folder `path`. A lock whose process has died is taken.
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
      // Renaming decides which of several waiters removes the stale lock.
      const stale = `${path}.${randomUUID()}`;
      await rename(path, stale).then(() => rm(stale, { recursive: true, force: true }), ignoreMissing);
      continue;
    }
    if (!told) log(`waiting for another process (${holder ?? 'starting'}) that is doing this already`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  try {
    return await body();
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** @param {string} path */
async function take(path) {
  // The holder's number is inside before the folder appears under its name.
  const own = `${path}.${randomUUID()}`;
  await mkdir(own, { recursive: true });
  await writeFile(join(own, 'pid'), String(process.pid));
  try {
    await rename(own, path); // fails when `path` is a folder that is not empty
    return true;
  } catch {
    await rm(own, { recursive: true, force: true });
    return false;
  }
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

/** @param {NodeJS.ErrnoException} error */
const ignoreMissing = (error) => {
  if (error.code !== 'ENOENT') throw error;
};
