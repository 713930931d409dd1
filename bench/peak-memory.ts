import { readFileSync } from 'node:fs';

/** Most bytes of main memory that this process has had, its libraries included. Node's own `maxRSS` starts at that of the parent process. */
export function peakMemory(): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  if (!line) throw new Error('/proc/self/status has no VmHWM');
  return 1024 * Number(line[1]);
}
