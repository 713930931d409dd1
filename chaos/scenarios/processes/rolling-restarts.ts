import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../../harness/scenario.ts';
import { signalProcess } from '../../harness/services/started.ts';
import { trainersOf } from '../../harness/services/trainers.ts';
import { strikes } from '../../harness/strikes.ts';

export const rollingRestarts: Scenario = {
  name: 'rolling-restarts',
  title: 'rolling restarts (SIGTERM) under load',
  about:
    'API or the worker that holds a job gets SIGTERM: it checkpoints, releases its jobs, ends, and is started again. No attempt may be charged.',
  rounds: { short: 1, long: 40 },
  run: async (run) => {
    const releases: number[] = [];
    await strikes(run, {
      charges: false,
      inFlight: 3,
      strike: async ({ worker }, { rig, random }) => {
        const member = random.next() < 0.25 ? rig.api : worker;
        const { pid } = member;
        const asked = performance.now();
        member.signal('SIGTERM');
        while (member.pid === pid && performance.now() - asked < 60_000) await sleep(20);
        releases.push((performance.now() - asked) / 1000);
      },
    });
    run.report.figure('slowest release', Math.max(...releases), 's', 10);
  },
};

export const impatientRestarts: Scenario = {
  name: 'impatient-restarts',
  title: 'a second SIGTERM while it checkpoints',
  about:
    'the worker that holds a job gets SIGTERM, and a second one as soon as that means "at once" (two seconds later): what it was writing may be lost, nothing may be corrupt.',
  rounds: { short: 0, long: 20 },
  run: async (run) =>
    await strikes(run, {
      charges: true,
      strike: async ({ worker }, { random }) => {
        const { pid } = worker;
        // Its trainer is slow to stop.
        for (const trainer of trainersOf(worker)) signalProcess(trainer, 'SIGSTOP');
        const frozen = trainersOf(worker);
        worker.signal('SIGTERM');
        await sleep(2050 + random.between(0, 500));
        for (const trainer of frozen) signalProcess(trainer, 'SIGCONT');
        await sleep(random.between(0, 100));
        if (worker.pid === pid) worker.signal('SIGTERM');
      },
    }),
};
