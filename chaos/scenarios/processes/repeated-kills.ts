import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../../harness/scenario.ts';
import { strikes } from '../../harness/strikes.ts';

export const repeatedKills: Scenario = {
  name: 'repeated-kills',
  title: 'repeated kills',
  about:
    'a worker that holds a job is killed, and killed again one to three times while it starts, wherever it has got to.',
  rounds: { short: 1, long: 20 },
  queues: ['postgres', 'redis'],
  run: async (run) =>
    await strikes(run, {
      charges: true,
      by: 'claim',
      strike: async ({ worker }, { random }) => {
        const kills = 2 + random.below(3);
        for (let kill = 0; kill < kills; kill++) {
          const pid = worker.pid;
          worker.signal('SIGKILL');
          // Waits until its supervisor has restarted it, then hits its start-up, before it can have claimed.
          while (worker.pid === null || worker.pid === pid) await sleep(20);
          await sleep(random.between(0, 400));
        }
      },
    }),
};
