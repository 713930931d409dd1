import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * `<pid> <start time>` of a running process: unlike a bare pid, it never comes to mean another process. Null when
 * there is none, or only a zombie that its parent never reaped (seen in containers after a kill -9).
 */
export function processIdentity(pid: number): string | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The command's name, in parentheses, may hold spaces: fields count from behind it. State is field 3, start 22.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' || fields[0] === 'X' ? null : `${pid} ${fields[19]}`;
    }
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    const [state, ...start] = line.split(/\s+/);
    return state === undefined || state.startsWith('Z') ? null : `${pid} ${start.join('_')}`;
  } catch {
    return null;
  }
}

/** Whether the process of this identity still runs. */
export function isRunning(identity: string): boolean {
  return processIdentity(Number(identity.split(' ')[0])) === identity.trim();
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
