import { readFileSync } from 'node:fs';
import type { Member } from './member.ts';

/** Process ids of a worker's trainers, including those that only verify. */
export const trainersOf = (worker: Member): number[] => childrenOf(worker, 'trainer');

/** Process ids of a worker's children that run a file of this name. */
export function childrenOf(worker: Member, name: 'trainer' | 'exporter'): number[] {
  return worker.children.filter((pid) => commandLine(pid).includes(name));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}
