import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds. A builder touches its claim every `heartbeat`. */
const heartbeat = 5_000;
const pollEvery = 500;
/** A claim untouched for so long is void. A remote process cannot be seen; a local process id may be in use again. */
const abandonedAfter = { remote: 60_000, local: 600_000 };

/** Builds under way in this process, by target. */
const underWay = new Map<string, Promise<void>>();

/**
 * Makes the folder `target` by `build`, once among all processes that share its parent. `build` fills `target.unfinished`, which
 * is then renamed: `target` is whole or absent. The next build continues from what a failed or killed one has
 * left. While another process builds, this one waits.
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
  if (await exists(target)) return;
  await mkdir(path.dirname(target), { recursive: true });
  for (let waits = 0; ; waits++) {
    const claim = await takeClaim(target);
    if (await exists(target)) return dropClaims(target);
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
 * Claims are files `target.claim-N`; the one of the highest number counts. A void one is never taken over, which two could do
 * at once, but outdone by creating the next number, which only one can. Returns the claim's path, or null while another holds.
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
  // Older numbers may have been cleared away between: then this one is not the highest and does not count.
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

/** Once the target is there, nobody needs a claim. */
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
  // Not yet written: just created.
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

async function exists(folder: string): Promise<boolean> {
  return (await stat(folder).catch(() => null)) !== null;
}
