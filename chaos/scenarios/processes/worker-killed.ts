import type { Scenario } from '../../harness/scenario.ts';
import { strikes } from '../../harness/strikes.ts';

export const workerKilled: Scenario = {
  name: 'worker-killed',
  title: 'kill -9 of a worker',
  about:
    'the worker that holds a job gets SIGKILL at a random moment and is started again half a second later. With production leases every slot is occupied, so the job may wait for that restart; with test leases another worker is free.',
  rounds: { short: 1, long: 60 },
  queues: ['postgres', 'redis'],
  run: async (run) =>
    await strikes(run, {
      charges: true,
      by: 'claim',
      ...(run.timings.name === 'test' && { inFlight: run.rig.workers.length - 1 }),
      strike: async ({ worker }) => worker.signal('SIGKILL'),
    }),
};
