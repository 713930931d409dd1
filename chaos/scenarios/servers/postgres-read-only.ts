import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../../harness/scenario.ts';
import { strikes } from '../../harness/strikes.ts';

export const postgresReadOnly: Scenario = {
  name: 'postgres-read-only',
  title: 'read-only Postgres',
  about:
    'Postgres refuses writes (25006) for up to four seconds, as a standby does after a failover. It counts as unavailable: 503, a pause, no attempt charged.',
  rounds: { short: 1, long: 20 },
  run: async (run) =>
    await strikes(run, {
      charges: false,
      strike: async (_target, { rig, random }) => {
        await rig.postgres.setReadOnly(true);
        await sleep(random.between(500, 4000));
        await rig.postgres.setReadOnly(false);
      },
    }),
};
