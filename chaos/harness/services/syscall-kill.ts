import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { signalProcess, spawnInGroup } from './started.ts';

/** System calls that write a file, put it in place, and remove the old one. */
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
  /** True where the injection killed a process. */
  readonly hit: boolean;
  /** Detaches; surviving processes continue undisturbed. */
  release(): Promise<void>;
}

/**
 * Injects by strace: the process gets SIGKILL when one of its threads enters its n-th such call, before the call is executed. Resolves when
 * strace is attached.
 */
export async function killAtSyscall(
  pid: number,
  call: DurableCall,
  nth: number,
  log: string,
): Promise<SyscallKill> {
  const output = `${log}.strace`;
  writeFileSync(output, '');
  const messages = `${log}.strace-messages`;
  appendFileSync(messages, '');
  const before = readFileSync(messages, 'utf8').length;
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
    { log: messages },
  );
  let ended = false;
  void strace.ended.then(() => {
    ended = true;
  });
  for (const end = performance.now() + 20_000; ; await sleep(20)) {
    if (readFileSync(messages, 'utf8').slice(before).includes('attached')) break;
    if (ended || performance.now() > end)
      throw new Error(`strace does not attach: ${readFileSync(messages, 'utf8')}`);
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
