import { Redis } from 'ioredis';
import type { Database } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';

/** Opens a connection that never waits for an unavailable or hanging Redis: its commands are rejected within two seconds. */
export function connectRedis(url: string, onError: (error: Error) => void): Redis {
  const redis = new Redis(url, {
    // RESP 2, so that servers and proxies without HELLO work.
    protocol: 2,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: 2_000,
    connectTimeout: 2_000,
  });
  return redis.on('error', onError);
}

/** Returns the prefix of all keys: the id of this installation in Postgres separates several Grafts on one Redis. */
export async function redisPrefix({ db }: Pick<Database, 'db'>): Promise<string> {
  const installation = await withSystemScope(() => db.installation.findFirstOrThrow());
  return `graft-${installation.id.slice(0, 8)}`;
}
