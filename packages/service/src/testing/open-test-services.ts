import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { connectDatabase, type Database } from '../database/database.ts';
import { loadServiceEnv } from '../environment/env.ts';
import { type OpenOptions, openServices, type Services } from '../services.ts';
import { createTestDatabase } from './test-database.ts';

/**
 * Opens real services for one test file: a separate migrated database, a temporary data folder, the queue on REDIS_URL if it is set and
 * else on Postgres, and leases of 5 s with heartbeats and sweeps of 1 s. `close` removes all of it. `env` overrides variables. Code outside
 * of `asTeam` and `asSystem` runs as the owner of the tables, unless `defaultScope` is given.
 */
export async function openTestServices(
  options: Pick<OpenOptions, 'defaultScope'> &
    Partial<Pick<OpenOptions, 'role' | 'log'>> & { env?: NodeJS.ProcessEnv } = {},
): Promise<Services> {
  const start = performance.now();
  const database = await createTestDatabase();
  const dataDir = await mkdtemp(path.join(tmpdir(), 'graft-test-data-'));
  const env = loadServiceEnv({
    REDIS_URL: process.env.REDIS_URL,
    XDG_CACHE_HOME: process.env.XDG_CACHE_HOME,
    GRAFT_CACHE_DIR: process.env.GRAFT_CACHE_DIR,
    GRAFT_LEASE_SECONDS: '5',
    GRAFT_HEARTBEAT_SECONDS: '1',
    GRAFT_SWEEP_SECONDS: '1',
    ...options.env,
    DATABASE_URL: database.url,
    GRAFT_DATA_DIR: dataDir,
  });
  const services = await openServices({
    role: options.role ?? 'api',
    defaultScope: options.defaultScope ?? 'owner',
    env,
    log: options.log ?? pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' }),
  });
  const installation = await services.db.installation.findFirstOrThrow();
  const prefix = `graft-${installation.id.slice(0, 8)}`;
  // The test runner reports this for its slowest files.
  performance.measure('waiting for services', { start });
  return {
    ...services,
    close: async () => {
      await services.close();
      if (env.redisUrl) await removeRedisKeys(env.redisUrl, prefix);
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Opens another pool on the services' database with the API's row-level security: code outside of `asTeam` and `asSystem` sees no team. */
export function openFenced({ databaseUrl, log }: Pick<Services, 'databaseUrl' | 'log'>): {
  database: Database;
  close(): Promise<void>;
} {
  const database = connectDatabase(databaseUrl, log);
  return {
    database,
    close: async () => {
      await database.db.$disconnect();
      await database.sql.end();
    },
  };
}

async function removeRedisKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 });
  redis.on('error', () => {});
  try {
    const keys = await redis.keys(`${prefix}:*`);
    if (keys.length > 0) await redis.unlink(...keys);
  } catch {
    // A test may have stopped its Redis.
  } finally {
    redis.disconnect();
  }
}
