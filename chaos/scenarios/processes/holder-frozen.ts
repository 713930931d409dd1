import { setTimeout as sleep } from 'node:timers/promises';
import { holderOf } from '../../harness/holder.ts';
import { createJob, isOver, untilJob } from '../../harness/jobs.ts';
import { faultsOf } from '../../harness/oracles/job-outcome.ts';
import type { Run, Scenario } from '../../harness/scenario.ts';
import { signalProcess } from '../../harness/services/started.ts';
import { variants } from '../../harness/workload.ts';

export const holderFrozen: Scenario = {
  name: 'holder-frozen',
  title: 'SIGSTOP of holder and trainer until the successor finished',
  about:
    'the worker that holds a job is stopped (SIGSTOP), with its trainer or without; another takes over and finishes; then SIGCONT. Other workers continue within one lease, and the resumed one writes nothing.',
  rounds: { short: 1, long: 50 },
  testTimings: true,
  run: async (run) => {
    for (let round = 1; round <= run.rounds; round++) await freeze(run, round);
  },
};

async function freeze(run: Run, round: number): Promise<void> {
  const { rig, report, timings } = run;
  const random = run.random.forRound(round);
  const variant = random.pick(variants);
  const control = await run.control(variant);
  const job = await createJob(rig, variant);
  const wanted = 1 + random.below(120);
  const row = await untilJob(
    rig,
    job,
    ({ state, step }) => isOver({ state } as never) || (state === 'running' && step >= wanted),
  );
  const holder = await holderOf(rig, row);
  if (!holder) return;
  const frozen = [holder.pid ?? 0, ...(random.next() < 0.7 ? holder.children : [])];
  for (const pid of frozen) signalProcess(pid, 'SIGSTOP');
  report.fault();
  report.progress(`round ${round} of ${run.rounds}: ${holder.name} stopped at step ${row.step}`);
  const since = performance.now();
  job.strikes += 1;
  // Other jobs are served, whatever the frozen worker holds: a job of the neighbour runs meanwhile.
  const neighbour = await createJob(rig, variant, { team: rig.other });
  const goesOn = await settled(
    untilJob(rig, neighbour, (now) => now.state === 'running' || isOver(now), 60 + 3 * timings.lease),
  );
  if (goesOn.length === 0) report.recovered(performance.now() - since);
  const ends = goesOn.length > 0 ? [] : await settled(untilJob(rig, job, isOver, 240 + 6 * timings.lease));
  for (const pid of frozen) signalProcess(pid, 'SIGCONT');
  // Enough time for the writes that it still believes it may make.
  await sleep(3000);
  for (const late of [job, neighbour]) await settled(untilJob(rig, late, isOver));
  report.broken(`job ${job.id}, frozen at step ${row.step}`, [
    ...[...goesOn, ...ends].map((fault) => `while it was frozen: ${fault}`),
    ...(await faultsOf(rig, job, control)),
    ...(await faultsOf(rig, neighbour, control)).map((fault) => `the neighbour's job: ${fault}`),
  ]);
}

/** Why the job failed; empty when it succeeded. */
async function settled(work: Promise<unknown>): Promise<string[]> {
  return await work.then(
    () => [],
    (error: Error) => [error.message],
  );
}
