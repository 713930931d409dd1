import { readFileSync } from 'node:fs';

/** Resident memory of a process in MiB; 0 when it does not run. */
export function residentMib(pid: number | null): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  } catch {
    return 0;
  }
}
