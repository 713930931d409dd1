import type { Redis } from 'ioredis';
import type { Database } from '../database/database.ts';
import { connectRedis, redisPrefix } from '../queue/connect-redis.ts';
import type { CountStore } from './shared-counts.ts';

/** Minutes for which counts are kept, since the clocks of machines differ. */
const keptMinutes = 2;

/** Opens a store in Redis, or in Postgres without Redis. If Redis is unavailable, only `add` rejects until it is back. */
export async function openCountStore(
  db: Database,
  { redisUrl }: { redisUrl: string | undefined },
): Promise<CountStore> {
  if (redisUrl === undefined) return postgresCounts(db);
  // Ignored here: the same errors reject `add`.
  return redisCounts(
    connectRedis(redisUrl, () => {}),
    await redisPrefix(db),
  );
}

function postgresCounts({ sql }: Pick<Database, 'sql'>): CountStore {
  let tidied = 0;
  return {
    add: async (minute, counts) => {
      const { rows } = await sql.query<{ name: string; count: number }>(
        // Sorted, so that two processes lock the same rows in the same order.
        `INSERT INTO rate_counts (minute, name, count)
         SELECT $1, name, count FROM unnest($2::text[], $3::int[]) AS sent (name, count) ORDER BY name COLLATE "C"
         ON CONFLICT (minute, name) DO UPDATE SET count = rate_counts.count + excluded.count
         RETURNING name, count`,
        [minute, [...counts.keys()], [...counts.values()]],
      );
      if (minute > tidied) {
        await sql.query('DELETE FROM rate_counts WHERE minute < $1', [minute - keptMinutes]);
        tidied = minute;
      }
      return new Map(rows.map(({ name, count }) => [name, count]));
    },
    // The connections belong to the process.
    close: async () => {},
  };
}

function redisCounts(redis: Redis, prefix: string): CountStore {
  return {
    add: async (minute, counts) => {
      const pipeline = redis.pipeline();
      for (const [name, count] of counts) {
        const key = `${prefix}:rate:${minute}:${name}`;
        pipeline.incrby(key, count).expire(key, keptMinutes * 60);
      }
      const answers = (await pipeline.exec()) ?? [];
      return new Map(
        [...counts.keys()].map((name, i) => {
          const [error, total] = answers[2 * i] ?? [new Error('Redis did not answer'), null];
          if (error) throw error;
          return [name, Number(total)];
        }),
      );
    },
    close: async () => redis.disconnect(),
  };
}
