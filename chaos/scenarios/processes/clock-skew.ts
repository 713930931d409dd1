import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Load } from '../../harness/load.ts';
import type { Scenario } from '../../harness/scenario.ts';

const preload = path.resolve(import.meta.dirname, '../../harness/shifted-clock.mjs');

export const clockSkew: Scenario = {
  name: 'clock-skew',
  title: 'clocks an hour ahead and behind',
  about:
    "one worker's clock is an hour ahead, another's an hour behind (Date in their processes), under load for three leases or more. No lease expires that should not, no attempt is charged.",
  rounds: { short: 0, long: 3 },
  run: async (run) => {
    const { rig, report, timings, rounds } = run;
    const skewed = (seconds: number) =>
      rig.startWorker({ flags: ['--import', preload], env: { CHAOS_CLOCK_SHIFT_SECONDS: String(seconds) } });
    for (const worker of [...rig.workers]) await rig.removeWorker(worker);
    const workers = [await skewed(3600), await skewed(-3600)];
    const load = await Load.start(run, { inFlight: 3 });
    for (let round = 1; round <= rounds; round++) {
      report.progress(`round ${round} of ${rounds}, ${load.jobs.length} jobs`);
      await load.running(run.random);
      await sleep(3000 * timings.lease);
      report.fault();
    }
    await load.finish();
    for (const worker of workers) await rig.removeWorker(worker);
    await rig.heal();
  },
};
