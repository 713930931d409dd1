import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Resets the peak: otherwise a process that runs several jobs would report for each the peak of all jobs before it. Memory in use
 * now, such as a warm model, counts. Only Linux supports this (`clear_refs` in proc(5)).
 */
export function resetPeakMemory(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not Linux, or a kernel without support: the peak remains that since process start.
  }
}

/** Physical memory that this process uses now, in bytes; `peakMemory` is its maximum. Takes tens of microseconds. */
export function residentMemory(): number {
  return process.memoryUsage.rss();
}

/** Peak physical memory of this process since the last reset, in bytes. */
export function peakMemory(): number {
  const kibibytes = residentPeak() ?? process.resourceUsage().maxRSS;
  return kibibytes * 1024;
}

/** The kernel's high-water mark in KiB, which a reset lowers; null where the kernel does not report it. */
function residentPeak(): number | null {
  try {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return kibibytes === undefined ? null : Number(kibibytes);
  } catch {
    return null;
  }
}
