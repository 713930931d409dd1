import { Redis } from 'ioredis';
import type { Database } from '../database/database.ts';
import { asSystem } from '../database/on-behalf-of.ts';

/** Never waits for a Redis that is away or hangs: a command is then rejected, within two seconds. */
export function connectRedis(url: string, onError: (error: Error) => void): Redis {
  const redis = new Redis(url, {
    // Servers and proxies without HELLO stay usable.
    protocol: 2,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: 2_000,
    connectTimeout: 2_000,
  });
  return redis.on('error', onError);
}

/** Two Grafts on one Redis stay apart by the id that each one's Postgres holds: all keys begin so. */
export async function redisPrefix({ db }: Pick<Database, 'db'>): Promise<string> {
  const installation = await asSystem(() => db.installation.findFirstOrThrow());
  return `graft-${installation.id.slice(0, 8)}`;
}
