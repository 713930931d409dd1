import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { signalProcess, spawnInGroup } from './started.ts';

/** How a write comes to be on disk and in its place, and how the old one goes. */
export const durableCalls = [
  'openat',
  'write',
  'pwrite64',
  'fsync',
  'rename',
  'mkdir',
  'unlink',
  'rmdir',
] as const;
export type DurableCall = (typeof durableCalls)[number];

export interface SyscallKill {
  /** Whether a process was killed by it. */
  readonly hit: boolean;
  /** Detaches: what lives goes on undisturbed. */
  release(): Promise<void>;
}

/**
 * strace's injection: the process gets SIGKILL at the entry of the n-th such call of one of its threads, before the call is
 * done. Resolves when it is attached.
 */
export async function killAtSyscall(
  pid: number,
  call: DurableCall,
  nth: number,
  log: string,
): Promise<SyscallKill> {
  const output = `${log}.strace`;
  writeFileSync(output, '');
  const told = `${log}.strace-messages`;
  appendFileSync(told, '');
  const before = readFileSync(told, 'utf8').length;
  const strace = spawnInGroup(
    'strace',
    [
      '-f',
      '-o',
      output,
      '-p',
      String(pid),
      '-e',
      `trace=${call}`,
      '-e',
      `inject=${call}:signal=SIGKILL:when=${nth}`,
    ],
    { log: told },
  );
  let ended = false;
  void strace.ended.then(() => {
    ended = true;
  });
  for (const end = performance.now() + 20_000; ; await sleep(20)) {
    if (readFileSync(told, 'utf8').slice(before).includes('attached')) break;
    if (ended || performance.now() > end)
      throw new Error(`strace does not attach: ${readFileSync(told, 'utf8')}`);
  }
  const hit = () => existsSync(output) && readFileSync(output, 'utf8').includes('killed by SIGKILL');
  return {
    get hit() {
      return hit();
    },
    release: async () => {
      signalProcess(strace.pid, 'SIGINT');
      await strace.ended;
    },
  };
}
