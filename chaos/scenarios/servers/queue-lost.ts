import { setTimeout as sleep } from 'node:timers/promises';
import type { Rig } from '../../harness/rig.ts';
import type { Scenario } from '../../harness/scenario.ts';
import { strikes } from '../../harness/strikes.ts';

export const queueFlushed: Scenario = {
  name: 'queue-flushed',
  title: 'queue flush',
  about: 'everything that the queue holds is deleted: FLUSHALL in Redis, all rows of its tables in Postgres.',
  rounds: { short: 1, long: 20 },
  queues: ['postgres', 'redis'],
  run: async (run) =>
    await strikes(run, { charges: false, inFlight: 4, strike: async (_target, { rig }) => await flush(rig) }),
};

export const redisKilled: Scenario = {
  name: 'redis-killed',
  title: 'Redis kill or freeze',
  about:
    'Redis gets SIGKILL, loses its data and restarts empty up to four seconds later; or it is stopped (SIGSTOP) for as long.',
  rounds: { short: 1, long: 20 },
  queues: ['redis'],
  run: async (run) =>
    await strikes(run, {
      charges: false,
      inFlight: 4,
      strike: async (_target, { rig: { redis }, random }) => {
        const frozen = random.next() < 0.3;
        if (frozen) redis?.freeze(true);
        else await redis?.kill();
        await sleep(random.between(200, 4000));
        if (frozen) redis?.freeze(false);
        else await redis?.start();
      },
    }),
};

async function flush(rig: Rig): Promise<void> {
  if (rig.redis) return await rig.redis.flush();
  const tables = await rig.postgres.query<{ name: string }>(
    `SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables
     WHERE schemaname = 'bullmq' AND tablename NOT LIKE '%migration%'`,
  );
  await rig.postgres.query(`TRUNCATE ${tables.map(({ name }) => name).join(', ')}`);
}
