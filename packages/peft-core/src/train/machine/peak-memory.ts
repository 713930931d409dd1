import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Counts the peak from now on: a process that serves several jobs would else tell of each the most that any before it took. What
 * is held now, such as a warm model, counts. Only Linux can do this (`clear_refs` in proc(5)).
 */
export function resetPeakMemory(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not Linux, or a kernel without it: the peak stays that since the process's start.
  }
}

/** What the peak is the most of: what this process holds now of the machine's memory, in bytes. Tens of microseconds. */
export function residentMemory(): number {
  return process.memoryUsage.rss();
}

/** The most memory that this process held at once since the last reset, in bytes. */
export function peakMemory(): number {
  const kibibytes = residentPeak() ?? process.resourceUsage().maxRSS;
  return kibibytes * 1024;
}

/** The kernel's high-water mark, which a reset lowers; null where it tells none. */
function residentPeak(): number | null {
  try {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return kibibytes === undefined ? null : Number(kibibytes);
  } catch {
    return null;
  }
}
