import { setTimeout as sleep } from 'node:timers/promises';
import { holderOf } from '../../harness/holder.ts';
import { type AcceptedJob, createJob, isOver, type JobRow, readJobs, untilJob } from '../../harness/jobs.ts';
import { faultsOf } from '../../harness/oracles/job-outcome.ts';
import { recoveryOf } from '../../harness/recovery.ts';
import type { Rig, WiredMember } from '../../harness/rig.ts';
import type { Run, Scenario } from '../../harness/scenario.ts';
import { NetworkNamespace } from '../../harness/services/network-namespace.ts';
import { variants } from '../../harness/workload.ts';

export const partitioned: Scenario = {
  name: 'partitioned',
  title: 'a worker cut off by its network, not from storage',
  about:
    'a worker in a separate network namespace loses its network for half a lease to two and a half while it trains, and keeps the shared data folder. Another takes over; when the network is back, the first has written nothing and left no hole.',
  rounds: { short: 1, long: 30 },
  testTimings: true,
  queues: ['postgres', 'redis'],
  needs: ['network namespaces'],
  run: async (run) => {
    const { rig, rounds } = run;
    const network = new NetworkNamespace();
    try {
      // One worker in the namespace and one beside it.
      for (const worker of rig.workers.slice(1)) await rig.removeWorker(worker);
      const far = await rig.startWorker({
        wrapper: network.wrapper,
        host: network.host,
        env: { GRAFT_WORKER_HOST: network.address },
      });
      for (let round = 1; round <= rounds; round++) await partition(run, network, far, round);
      await rig.removeWorker(far);
    } finally {
      network.close();
    }
  },
};

async function partition(
  run: Run,
  network: NetworkNamespace,
  far: WiredMember,
  round: number,
): Promise<void> {
  const { rig, report, timings } = run;
  const random = run.random.forRound(round);
  const variant = random.pick(variants);
  const control = await run.control(variant);
  // One of two jobs reaches the worker in the namespace.
  const jobs = [await createJob(rig, variant), await createJob(rig, variant)];
  const target = await untilHeldBy(rig, far, jobs, 1 + random.below(80));
  if (target) {
    const { job, row } = target;
    report.progress(`round ${round} of ${run.rounds}: cut off at step ${row.step}`);
    const since = performance.now();
    network.pull();
    report.fault();
    job.strikes += 1;
    const back = sleep(1000 * timings.lease * random.between(0.5, 2.5)).then(() => network.plug());
    report.recovered(await recoveryOf(rig, job, row, since, 60 + 4 * timings.lease, 'claim or step'));
    await back;
  }
  for (const job of jobs) {
    await untilJob(rig, job, isOver, 240 + 6 * timings.lease);
    report.broken(`job ${job.id}`, await faultsOf(rig, job, control));
  }
}

/** The job of this worker, once it has reached the step; null: all jobs ended before. */
async function untilHeldBy(
  rig: Rig,
  worker: WiredMember,
  jobs: AcceptedJob[],
  step: number,
): Promise<{ job: AcceptedJob; row: JobRow } | null> {
  for (;;) {
    const rows = await readJobs(rig, jobs);
    for (const job of jobs) {
      const row = rows.get(job.id);
      if (row?.state !== 'running' || row.step < step) continue;
      if ((await holderOf(rig, row)) === worker) return { job, row };
    }
    if ([...rows.values()].every(isOver)) return null;
    await sleep(30);
  }
}
