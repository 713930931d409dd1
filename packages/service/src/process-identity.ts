import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * Returns `<pid> <start time>` of a running process; unlike a pid, it never refers to a later process. Null if there is none, or only a
 * zombie that its parent never reaped (this happens in containers after kill -9).
 */
export function processIdentity(pid: number): string | null {
  const start = startOf(pid);
  return start === null || start === 'ended' ? null : `${pid} ${start}`;
}

/** Returns whether the process of this identity is known to be running. */
export function isRunning(identity: string): boolean {
  return processIdentity(pidOf(identity)) === identity.trim();
}

/** Returns whether the process of this identity has certainly ended. A stopped process has not, nor one that may not be inspected. */
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
 * Identifies where pids are unique: host name, boot id, and pid namespace (each container has its own). Null on systems other than Linux.
 */
export function processNamespace(): string | null {
  namespace ??= readNamespace();
  return namespace;
}

/** Cached, because it does not change while this process lives and loops read it every second. */
let namespace: string | null = null;

function readNamespace(): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    // Includes the host name, because sandboxes may have the same boot id and namespace on several machines.
    return `${hostname()} ${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return null;
  }
}

function pidOf(identity: string): number {
  return Number(identity.trim().split(' ')[0]);
}

/** Returns the start time of a process. Null: there is none, or it may not be inspected. */
function startOf(pid: number): string | 'ended' | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The command name in parentheses may contain spaces, so fields are counted from behind it. The state is field 3, the start field 22.
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

/** Returns the name of the executable, such as `postgres`; null if there is no such process. */
export function commandName(pid: number): string | null {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    const command = execFileSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return command.split('/').at(-1) ?? null;
  } catch {
    return null;
  }
}
