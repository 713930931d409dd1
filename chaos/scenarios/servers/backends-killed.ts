import type { Scenario } from '../../harness/scenario.ts';
import { strikes } from '../../harness/strikes.ts';

export const backendsKilled: Scenario = {
  name: 'backends-killed',
  title: 'backend kill (pg_terminate_backend)',
  about:
    'all or half of the sessions of API and workers are ended by pg_terminate_backend. No attempt may be charged.',
  rounds: { short: 1, long: 30 },
  queues: ['postgres', 'redis'],
  run: async (run) =>
    await strikes(run, {
      charges: false,
      strike: async (_target, { rig, random }) => {
        await rig.postgres.terminateBackends(random.pick([1, 0.5]));
        await rig.redis?.dropClients();
      },
    }),
};
