import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, processIdentity } from '../process-identity.ts';

/**
 * Runs `work` while only this process holds `<folder>/lock`. Breaks the lock of a process that died. For work before a database is
 * available for locking.
 */
export async function withFolderLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const lock = path.join(folder, 'lock');
  const draft = `${lock}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, processIdentity(process.pid) ?? String(process.pid), { mode: 0o600 });
  try {
    await take(lock, draft);
  } finally {
    await rm(draft, { force: true });
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

async function take(lock: string, draft: string): Promise<void> {
  for (const end = performance.now() + 120_000; performance.now() < end; await sleep(25)) {
    try {
      await link(draft, lock);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = await readFile(lock, 'utf8').catch(() => null);
    if (owner !== null && !isRunning(owner)) await breakLock(lock, owner);
  }
  throw new Error(`Another process has held ${lock} for two minutes.`);
}

async function breakLock(lock: string, deadOwner: string): Promise<void> {
  const grave = `${lock}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(lock, grave);
  } catch {
    return;
  }
  // Another process may have broken and taken the lock between the read and the rename: put its lock back.
  const found = await readFile(grave, 'utf8');
  if (found !== deadOwner) await link(grave, lock).catch(() => {});
  await rm(grave, { force: true });
}
