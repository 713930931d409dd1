import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs `body` while no other process of this machine runs one under the lock folder `path`, and returns its result. The lock of a dead
 * process does not count. Where the folder is not writable, `body` runs without a lock.
 *
 * A process that wants the lock creates a uniquely named file in the folder, and has the lock if no other living process has a file
 * there: of two, the later one sees the other's. If both see each other, both remove theirs and retry.
 * @template T
 * @param {{ onWait: (pid: number) => void, path: string, pollMs?: number, patienceMs?: number }} options
 *   onWait: called once, when it has waited for `patienceMs`
 * @param {() => Promise<T>} body
 * @returns {Promise<T>}
 */
export async function withLock({ onWait, path, pollMs = 500, patienceMs = 0 }, body) {
  const own = nameFor(process.pid);
  let reported = false;
  for (const began = performance.now(); ; await sleep(pollMs * (0.5 + Math.random()))) {
    let holder = await holderOf(path, own);
    if (holder === null) {
      if (!(await enter(path, own))) return await body();
      holder = await holderOf(path, own);
      if (holder === null) break;
      await leave(path, own);
    }
    if (reported || performance.now() - began < patienceMs) continue;
    onWait(holder);
    reported = true;
  }
  try {
    return await body();
  } finally {
    await leave(path, own);
  }
}

/**
 * For the process that has the lock: a child of it that works on when it is killed keeps the lock then.
 * @param {string} path
 * @param {number} pid
 */
export function shareLock(path, pid) {
  try {
    writeFileSync(join(path, nameFor(pid)), '');
  } catch {
    // Where the folder may not be written there is no lock, and the child may have ended already.
  }
}

/** @param {number} pid */
const nameFor = (pid) => `${pid}-${startOf(pid)}-${randomBytes(6).toString('hex')}`;

/** Resolves to true if the folder takes the file. @param {string} path @param {string} own */
async function enter(path, own) {
  for (let tries = 1; ; tries++) {
    try {
      await mkdir(path, { recursive: true });
      await writeFile(join(path, own), '');
      return true;
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return false;
      // Another process has just removed the folder; or, if this repeats, it cannot be created.
      if (code !== 'ENOENT' || tries === 100) throw error;
    }
  }
}

/** @param {string} path @param {string} own */
async function leave(path, own) {
  await rm(join(path, own), { force: true });
  await holderOf(path, own); // removes what children have left
  await rmdir(path).catch(() => {}); // while it is empty
}

/** The pid of a living process that has a file there. @param {string} path @param {string} own */
async function holderOf(path, own) {
  const names = await readdir(path).catch(() => /** @type {string[]} */ ([]));
  for (const name of names.filter((name) => name !== own)) {
    const [pid, start] = name.split('-');
    if (start !== undefined && startOf(Number(pid)) === start) return Number(pid);
    await rm(join(path, name), { recursive: true, force: true });
  }
  return null;
}

/**
 * When a process started, which distinguishes it from another that later gets its pid; null: there is none.
 * @param {number} pid
 */
function startOf(pid) {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The command's name, in parentheses, may hold spaces: fields count from behind it. State is field 3, start 22.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? null : fields[19];
    }
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
    return started.trim().replaceAll(/\W+/g, '_');
  } catch {
    return null;
  }
}
