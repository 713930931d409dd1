import { readFileSync } from 'node:fs';
import type { Member } from './member.ts';

/** Process ids of a worker's trainers, including those that only verify. */
export function trainersOf(worker: Member): number[] {
  return worker.children.filter((pid) => commandLine(pid).includes('trainer'));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}
