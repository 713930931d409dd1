import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../../harness/scenario.ts';
import { strikes } from '../../harness/strikes.ts';

export const connectionsCut: Scenario = {
  name: 'connections-cut',
  title: 'connections cut, delayed, half-open',
  about:
    "the holder's connections, or everyone's, are reset, refused, slowed down by up to 300 ms a packet, or go silent without an end (half-open), for up to two thirds of a lease.",
  rounds: { short: 1, long: 30 },
  testTimings: true,
  queues: ['postgres', 'redis'],
  run: async (run) =>
    await strikes(run, {
      // A silent connection may outlast the lease; a worker that could not renew the lease has lost it.
      charges: true,
      strike: async ({ worker }, { rig, random, timings }) => {
        const members = random.next() < 0.5 ? [worker] : [rig.api, ...rig.workers];
        const kind = random.pick(['drop', 'refuse', 'delay', 'silence'] as const);
        const proxies = members.flatMap(({ postgres, redis }) => (redis ? [postgres, redis] : [postgres]));
        for (const proxy of proxies) {
          if (kind === 'delay') proxy.delay(random.between(50, 300));
          else proxy[kind]();
        }
        await sleep(random.between(200, 667 * timings.lease));
        for (const proxy of proxies) proxy.restore();
      },
    }),
};
