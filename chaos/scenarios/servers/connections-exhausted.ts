import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../../harness/scenario.ts';
import { strikes } from '../../harness/strikes.ts';

export const connectionsExhausted: Scenario = {
  name: 'connections-exhausted',
  title: 'pool exhaustion',
  about:
    'somebody else takes every connection that Postgres allows (and Redis, where it is the queue), for up to three seconds: nobody can connect. No attempt may be charged.',
  rounds: { short: 1, long: 20 },
  queues: ['postgres', 'redis'],
  run: async (run) =>
    await strikes(run, {
      charges: false,
      strike: async (_target, { rig, random }) => {
        const giveBack = await rig.postgres.takeAllConnections();
        const giveBackRedis = await rig.redis?.takeAllConnections();
        await sleep(random.between(500, 3000));
        await giveBackRedis?.();
        await giveBack();
      },
    }),
};
