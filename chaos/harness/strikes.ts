import { setTimeout as sleep } from 'node:timers/promises';
import { holderOf } from './holder.ts';
import type { AcceptedJob, JobRow } from './jobs.ts';
import { Load, type LoadOptions } from './load.ts';
import { type RecoversBy, recoveryOf, spread } from './recovery.ts';
import type { WiredMember } from './rig.ts';
import type { Run } from './scenario.ts';
import { variants } from './workload.ts';

/** The target of a fault: a running job and the worker that holds it. */
export interface Target {
  job: AcceptedJob;
  row: JobRow;
  worker: WiredMember;
}

export interface StrikeOptions extends Partial<LoadOptions> {
  /** True where the fault may cost the job an attempt. */
  charges: boolean;
  /** `claim`: the lease is certainly lost, and steps reported afterwards were computed before. Default `claim or step`. */
  by?: RecoversBy;
  /** Seconds after the fault within which the job must continue. Default: three leases and a minute. */
  patience?: number;
  /** Injects the fault and undoes it. `struck` is called at that instant; recovery is measured from there. */
  strike(target: Target, run: Run): Promise<void>;
}

/**
 * Keeps a steady load of jobs and injects one fault after another, each at a random moment of a running job. In the end every job must have
 * the results of an undisturbed one.
 */
export async function strikes(run: Run, options: StrikeOptions): Promise<void> {
  const { rig, report, rounds } = run;
  const {
    inFlight = rig.workers.length,
    patience = 60 + 3 * run.timings.lease,
    by = 'claim or step',
  } = options;
  // Controls of all kinds of training would take longer than the faults of a short run.
  const kinds = rounds < variants.length ? [run.random.pick(variants)] : variants;
  const load = await Load.start(run, { variants: kinds, ...options, inFlight });
  for (let round = 1; round <= rounds; round++) {
    const random = run.random.forRound(round);
    const { job } = await load.running(random);
    await sleep(random.between(0, 600));
    const target = await targetOf(run, load, job);
    if (!target) {
      round -= 1;
      continue;
    }
    report.progress(`fault ${round} of ${rounds}, at step ${target.row.step} of ${target.job.id}`);
    if (options.charges) for (const { job } of await holders(load, target)) job.strikes += 1;
    report.fault();
    const since = performance.now();
    await options.strike(target, { ...run, random });
    const recovery = await recoveryOf(rig, target.job, target.row, since, patience, by);
    report.recovered(recovery);
    if (recovery === null)
      report.broken('the job continues', [`${job.id} did not within ${patience} s of fault ${round}`]);
    await sleep(random.between(0, 400));
  }
  await rig.heal();
  await load.finish();
  if (by === 'claim')
    report.figure('recovery p99', (spread(report.recoveries)?.p99 ?? 0) / 1000, 's', lostLease(run));
}

/** Seconds within which a job whose worker is lost must continue. */
function lostLease({ timings }: Run): number {
  return timings.name === 'production' ? 80 : timings.lease;
}

/** The job's current state and its worker; null when the job has ended or has no worker. */
async function targetOf(run: Run, load: Load, job: AcceptedJob): Promise<Target | null> {
  const current = (await load.unfinished()).find((other) => other.job === job);
  if (current?.row.state !== 'running' || current.row.attempts_since_checkpoint >= 2) return null;
  const worker = await holderOf(run.rig, current.row);
  return worker ? { ...current, worker } : null;
}

/** Every job of the struck worker may lose an attempt. */
async function holders(load: Load, target: Target): Promise<{ job: AcceptedJob }[]> {
  return (await load.unfinished()).filter(({ row }) => row.worker_id === target.row.worker_id);
}
