import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** A process, told from every other one that this machine runs or ran, whatever numbers are given again. */
export interface ProcessIdentity {
  /** This boot of the machine and what of its processes can be seen (a container has numbers of its own). */
  machine: string;
  pid: number;
  /** Clock ticks after the boot at which it started. */
  start: string;
}

/** This process; null where the system does not tell (it does on Linux). */
export function thisProcess(): ProcessIdentity | null {
  const start = startOf(process.pid);
  if (start === null) return null;
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    // The name too: sandboxes may hand out the same boot and namespace on several machines.
    return {
      machine: [hostname(), boot, readlinkSync('/proc/self/ns/pid')].join(' '),
      pid: process.pid,
      start,
    };
  } catch {
    return null;
  }
}

/** Whether a process of this machine is gone for certain. One that is stopped, or may not be looked at, is not. */
export function hasEnded({ pid, start }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  // Unreadable: it ended just now, or belongs to somebody else.
  const current = startOf(pid);
  return current !== null && current !== start;
}

/** Field 22 of /proc/[pid]/stat (proc(5)); the name, field 2, may itself hold blanks and brackets. Null: unreadable. A zombie has none. */
function startOf(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' || state === 'X' ? 'ended' : (rest[18] ?? null);
}
