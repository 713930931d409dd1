import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileSize } from './file-size.ts';

/** Milliseconds between two updates of a builder's claim. */
const heartbeat = 5_000;
const pollEvery = 500;
/** A claim not updated for this long is void. Remote processes cannot be checked; a local process id may have been reused. */
const abandonedAfter = { remote: 60_000, local: 600_000 };

/** Builds running in this process, by target. */
const underWay = new Map<string, Promise<void>>();

/**
 * Creates the folder `target` by `build`, once among all processes that share its parent. `build` fills `target.unfinished`, which
 * is then renamed, so `target` is complete or absent. The next build continues from the files of a failed or killed one.
 * Waits while another process builds.
 */
export function buildOnce(
  target: string,
  build: (folder: string) => Promise<void>,
  onWait: () => void = () => {},
): Promise<void> {
  const running = underWay.get(target);
  if (running) return running;
  const work = buildAmongProcesses(target, build, onWait).finally(() => underWay.delete(target));
  underWay.set(target, work);
  return work;
}

async function buildAmongProcesses(
  target: string,
  build: (folder: string) => Promise<void>,
  onWait: () => void,
): Promise<void> {
  if ((await fileSize(target)) !== null) return;
  await mkdir(path.dirname(target), { recursive: true });
  for (let waits = 0; ; waits++) {
    const claim = await takeClaim(target);
    if ((await fileSize(target)) !== null) return dropClaims(target);
    if (claim) return buildWith(claim, target, build);
    if (waits === 0) onWait();
    await sleep(pollEvery);
  }
}

async function buildWith(
  claim: string,
  target: string,
  build: (folder: string) => Promise<void>,
): Promise<void> {
  const unfinished = `${target}.unfinished`;
  const beat = setInterval(() => void utimes(claim, new Date(), new Date()).catch(() => {}), heartbeat);
  beat.unref();
  try {
    await mkdir(unfinished, { recursive: true });
    await build(unfinished);
    await rename(unfinished, target);
    await dropClaims(target);
  } catch (error) {
    await utimes(claim, 0, 0).catch(() => {});
    throw error;
  } finally {
    clearInterval(beat);
  }
}

/**
 * Claims are files `target.claim-N`; the one with the highest number is valid. A void claim is never taken over, because two processes
 * could do that simultaneously; instead a process creates the next number, which only one process can. Returns the claim's path, or
 * null while another claim is held.
 */
async function takeClaim(target: string): Promise<string | null> {
  const numbers = await claimNumbers(target);
  const highest = Math.max(0, ...numbers);
  if (highest > 0 && (await isHeld(claimPath(target, highest)))) return null;
  const mine = claimPath(target, highest + 1);
  const created = await writeFile(mine, `${hostname()} ${process.pid}`, { flag: 'wx' }).then(
    () => true,
    () => false,
  );
  if (!created) return null;
  // Older claims may have been removed in the meantime: then this one is not the highest and is not valid.
  if (Math.max(...(await claimNumbers(target))) > highest + 1) {
    await rm(mine, { force: true });
    return null;
  }
  await Promise.all(numbers.map((number) => rm(claimPath(target, number), { force: true })));
  return mine;
}

async function claimNumbers(target: string): Promise<number[]> {
  const prefix = `${path.basename(target)}.claim-`;
  const names = await readdir(path.dirname(target));
  return names.filter((name) => name.startsWith(prefix)).map((name) => Number(name.slice(prefix.length)));
}

/** Removes all claims once the target exists. */
async function dropClaims(target: string): Promise<void> {
  const numbers = await claimNumbers(target);
  await Promise.all(numbers.map((number) => rm(claimPath(target, number), { force: true })));
}

function claimPath(target: string, number: number): string {
  return `${target}.claim-${number}`;
}

async function isHeld(claim: string): Promise<boolean> {
  const stats = await stat(claim).catch(() => null);
  if (!stats) return false;
  const [host = '', pid = ''] = (await readFile(claim, 'utf8').catch(() => '')).split(' ');
  const age = Date.now() - stats.mtimeMs;
  // A claim that is still empty (just created) has no host name, so only its age counts.
  if (host !== hostname()) return age < abandonedAfter.remote;
  return age < abandonedAfter.local && isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
