import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createTeamCatalogue } from './base-models/added/team-catalogue.ts';
import type { BaseModelCatalogue } from './base-models/catalogue.ts';
import { createBaseModelCatalogue } from './base-models/create-base-model-catalogue.ts';
import { publishChannelKeys } from './channel/request-tokens.ts';
import { secureDataFolder } from './data-folder/secure-data-folder.ts';
import { connectDatabase, connectOwner, type Database } from './database/database.ts';
import type { DatabaseScope } from './database/database-scope.ts';
import { isDatabaseUnavailable } from './database/database-unavailable.ts';
import { roleOf } from './database/fenced-pool.ts';
import { grantAccess } from './database/grant-access.ts';
import { checkMigrated, migrateDatabase, NotMigratedError } from './database/migrate-database.ts';
import { isWorkerLogin, warnOfStrongLogin } from './database/worker-grants.ts';
import { loadServiceEnv, type ServiceEnv } from './environment/env.ts';
import { planReaders, planThreads, type ThreadPlan } from './environment/thread-plan.ts';
import { createLogger } from './logger.ts';
import { observeProcess } from './observe/instruments.ts';
import { startTracing } from './observe/tracing.ts';
import { acquirePostgres } from './postgres/acquire-postgres.ts';
import type { JobQueue } from './queue/job-queue.ts';
import { openJobQueue } from './queue/open-job-queue.ts';
import { loadSecrets, type Secrets } from './secrets/secrets.ts';
import { openStores } from './storage/open-stores.ts';
import { checkOwnDataFolder } from './storage/prove-data-folder.ts';
import type { Stores } from './storage/stores.ts';

/** The services that API, worker and admin commands share. The caller of `openServices` closes them. */
export interface Services extends Database, Omit<Stores, 'close'> {
  env: ServiceEnv;
  log: Logger;
  /** URL of the database with its password: for child processes, never for logs. */
  databaseUrl: string;
  queue: JobQueue;
  baseModels: BaseModelCatalogue;
  threads: ThreadPlan['threads'];
  secrets: Secrets;
  /** Closes the queue, then the connections, then this process's hold on the embedded Postgres. */
  close(): Promise<void>;
}

export interface OpenOptions {
  role: 'api' | 'worker' | 'admin';
  /** Default: read from process.env. */
  env?: ServiceEnv | undefined;
  /** Default: JSON lines on stdout; for admin commands on stderr, since their stdout is their output. */
  log?: Logger | undefined;
  /** For whom code runs that does not specify it. Default: for nobody in the API, whose requests specify it; elsewhere for all teams. */
  defaultScope?: DatabaseScope | undefined;
}

/**
 * Opens Postgres (without DATABASE_URL the embedded one, started or adopted), migrates its schema, and opens the queue (Redis, or Postgres
 * without REDIS_URL), the stores and the catalogue. Succeeds even if Redis is down; a worker also waits for an unavailable Postgres instead
 * of failing.
 */
export async function openServices(options: OpenOptions): Promise<Services> {
  const env = heldBy(options.role, options.env ?? loadServiceEnv());
  const log =
    options.log ??
    createLogger(
      { level: env.logLevel, name: `graft-${options.role}` },
      options.role === 'admin' ? process.stderr : undefined,
    );
  const closers: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    // When Graft runs as root, the embedded Postgres runs as another user, in a folder inside the data folder.
    const isAlone = env.databaseUrl !== undefined || process.getuid?.() !== 0;
    const passable = isAlone ? 'nothing' : 'data folder';
    await secureDataFolder(env.dataDir, log, { passable }).catch((error: unknown) => {
      // A worker logs the fault, accepts no jobs and waits until the operator has fixed it.
      if (options.role !== 'worker') throw error;
      log.error({ err: error }, 'the data folder cannot be used');
    });
    if (options.role !== 'admin') {
      observeProcess();
      const endTracing = await startTracing(options.role);
      if (endTracing) closers.push(endTracing);
    }
    const postgres = await acquirePostgres(env, log, options.role);
    closers.push(postgres.release);
    const role = options.role === 'worker' ? 'worker' : 'api';
    const migrate = async () => {
      const owner = connectOwner(postgres.ownerUrl, log);
      try {
        if (role === 'worker' && (await isWorkerLogin(owner))) return await checkMigrated(owner);
        await prepareDatabase(owner);
      } finally {
        await owner.sql.end();
      }
    };
    await (options.role === 'worker' ? whenDatabaseIsThere(migrate, log) : migrate());
    const defaultScope = options.defaultScope ?? (options.role === 'api' ? 'nobody' : 'system');
    const { sql, db } = connectDatabase(postgres.url, log, { defaultScope, role });
    closers.push(async () => {
      await db.$disconnect();
      await sql.end();
    });
    await warnOfStrongLogin(sql, role, log);
    // Otherwise the API would accept files that no worker finds. A worker repeats this check itself.
    if (options.role === 'api') await checkOwnDataFolder({ db, env });
    const { url: databaseUrl, ownerUrl } = postgres;
    const queueRole = roleOf(role, 'system');
    const queue = await openJobQueue({
      db,
      databaseUrl,
      ownerUrl,
      role: queueRole,
      redisUrl: env.redisUrl,
      log,
    });
    closers.push(() => queue.close());
    const { close: closeStores, ...stores } = await openStores(env);
    closers.push(async () => closeStores());
    const { threads } = planThreads(env);
    const readers = options.role === 'api' ? threads.models : planReaders();
    const secrets = await loadSecrets(env, options.role);
    if (options.role === 'api') await publishChannelKeys({ sql, secrets });
    return {
      env,
      log,
      db,
      sql,
      databaseUrl,
      queue,
      ...stores,
      baseModels: createTeamCatalogue(await createBaseModelCatalogue(env, readers), { sql, db }, env),
      threads,
      secrets,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Migrates the schema and grants the roles their privileges, with a login that owns the tables. */
export async function prepareDatabase(owner: Pick<Database, 'sql'>): Promise<void> {
  await migrateDatabase(owner);
  await grantAccess(owner);
}

/** Removes the secrets that a worker does not need, so that they cannot leak from it. */
function heldBy(role: OpenOptions['role'], env: ServiceEnv): ServiceEnv {
  return role === 'worker' ? { ...env, pepper: undefined, bootstrapKey: undefined } : env;
}

async function whenDatabaseIsThere(work: () => Promise<void>, log: Logger): Promise<void> {
  for (let isLogged = false; ; isLogged = true) {
    try {
      return await work();
    } catch (error) {
      const isBehind = error instanceof NotMigratedError;
      if (!isBehind && !isDatabaseUnavailable(error)) throw error;
      if (!isLogged)
        log.warn({ err: error }, isBehind ? error.message : 'Postgres is unavailable: waiting for it');
      await sleep(1000);
    }
  }
}
