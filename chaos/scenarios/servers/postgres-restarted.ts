import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../../harness/scenario.ts';
import { strikes } from '../../harness/strikes.ts';

export const postgresRestarted: Scenario = {
  name: 'postgres-restarted',
  title: 'Postgres restart',
  about:
    'Postgres is stopped, fast or immediate (as a power failure), is down for up to three seconds and restarts. No attempt may be charged.',
  rounds: { short: 1, long: 20 },
  queues: ['postgres', 'redis'],
  run: async (run) =>
    await strikes(run, {
      charges: false,
      strike: async (_target, { rig, random }) => {
        await rig.postgres.stop(random.pick(['fast', 'immediate']));
        await sleep(random.between(0, 3000));
        await rig.postgres.start();
      },
    }),
};
