import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * `<pid> <start time>` of a running process: unlike a bare pid, it never comes to mean another process. Null when
 * there is none, or only a zombie that its parent never reaped (seen in containers after a kill -9).
 */
export function processIdentity(pid: number): string | null {
  const start = startOf(pid);
  return start === null || start === 'ended' ? null : `${pid} ${start}`;
}

/** Whether the process of this identity still runs, as far as it may be looked at. */
export function isRunning(identity: string): boolean {
  return processIdentity(pidOf(identity)) === identity.trim();
}

/** Whether the process of this identity is gone for certain: one that is stopped, or may not be looked at, is not. */
export function hasEnded(identity: string): boolean {
  const pid = pidOf(identity);
  const start = startOf(pid);
  if (start !== null) return `${pid} ${start}` !== identity.trim();
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/**
 * Where pids mean the same: the name of the machine, its boot, and the namespace of processes (a container has its own).
 * Null where the system does not tell; Linux does.
 */
export function processNamespace(): string | null {
  namespace ??= readNamespace();
  return namespace;
}

/** It stays the same as long as this process lives, and loops ask for it every second. */
let namespace: string | null = null;

function readNamespace(): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    // The name besides: sandboxes may give the same boot and namespace on several machines.
    return `${hostname()} ${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return null;
  }
}

function pidOf(identity: string): number {
  return Number(identity.trim().split(' ')[0]);
}

/** Start time of a process. Null: there is none, or it may not be looked at. */
function startOf(pid: number): string | 'ended' | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The command's name, in parentheses, may hold spaces: fields count from behind it. State is field 3, start 22.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' || fields[0] === 'X' ? 'ended' : fields[19]!;
    }
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    const [state, ...start] = line.split(/\s+/);
    return state === undefined || state.startsWith('Z') ? 'ended' : start.join('_');
  } catch {
    return null;
  }
}

/** Name of the executable, such as `postgres`; null when there is no such process. */
export function commandName(pid: number): string | null {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    const command = execFileSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return command.split('/').at(-1) ?? null;
  } catch {
    return null;
  }
}
