import { setTimeout as sleep } from 'node:timers/promises';
import { type AcceptedJob, isOver, type JobRow, readJobs } from './jobs.ts';
import type { Rig } from './rig.ts';

const pollMs = 50;

/** Evidence that a job continues: a running lease with a new epoch, or also more steps on the old one, where the fault left it intact. */
export type RecoversBy = 'claim' | 'claim or step';

/** Milliseconds from `since` until the job continues or ends. Null after `seconds`. */
export async function recoveryOf(
  rig: Rig,
  job: AcceptedJob,
  before: JobRow,
  since: number,
  seconds: number,
  by: RecoversBy,
): Promise<number | null> {
  for (const deadline = since + 1000 * seconds; performance.now() < deadline; await sleep(pollMs)) {
    const row = (await readJobs(rig, [job])).get(job.id);
    if (!row) continue;
    const claimed = row.state === 'running' && row.lease_epoch > before.lease_epoch;
    const stepped =
      by === 'claim or step' && row.lease_epoch === before.lease_epoch && row.step > before.step;
    if (claimed || stepped || isOver(row)) return performance.now() - since;
  }
  return null;
}

/** Percentiles of durations in milliseconds. */
export interface Spread {
  p50: number;
  p99: number;
  worst: number;
}

/** Null for an empty list. */
export function spread(milliseconds: number[]): Spread | null {
  if (milliseconds.length === 0) return null;
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { p50: at(0.5), p99: at(0.99), worst: at(1) };
}
