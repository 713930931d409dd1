import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createTeamCatalogue } from './base-models/added/team-catalogue.ts';
import type { BaseModelCatalogue } from './base-models/catalogue.ts';
import { createBaseModelCatalogue } from './base-models/create-base-model-catalogue.ts';
import { publishChannelKeys } from './channel/request-tokens.ts';
import { secureDataFolder } from './data-folder/secure-data-folder.ts';
import { connectDatabase, connectOwner, type Database } from './database/database.ts';
import { isDatabaseAway } from './database/database-away.ts';
import { roleOf } from './database/fenced-pool.ts';
import { grantAccess } from './database/grant-access.ts';
import { checkMigrated, migrateDatabase, NotMigratedError } from './database/migrate-database.ts';
import type { Behalf } from './database/on-behalf-of.ts';
import { isWorkerLogin, warnOfStrongLogin } from './database/worker-grants.ts';
import { loadServiceEnv, type ServiceEnv } from './environment/env.ts';
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

/** Everything API, worker and admin commands share. Whoever opens it closes it. */
export interface Services extends Database, Omit<Stores, 'close'> {
  env: ServiceEnv;
  log: Logger;
  /** The database in use, with its password: for child processes, never for logs. */
  databaseUrl: string;
  queue: JobQueue;
  baseModels: BaseModelCatalogue;
  secrets: Secrets;
  /** Queue, then connections, then this process's hold on the embedded Postgres. */
  close(): Promise<void>;
}

export interface OpenOptions {
  role: 'api' | 'worker' | 'admin';
  /** Default: read from process.env. */
  env?: ServiceEnv | undefined;
  /** Default: JSON lines on stdout; admin commands, whose stdout is theirs, on stderr. */
  log?: Logger | undefined;
  /** For whom runs what says nothing. Default: of the API nobody, whose requests say it; of the others all teams. */
  unsaid?: Behalf | undefined;
}

/**
 * Opens Postgres (the embedded one, started or adopted, without DATABASE_URL), brings its schema up to date, and opens
 * queue (Redis, or Postgres without REDIS_URL), stores and catalogue. A Redis that is down does not fail this; nor, of a worker,
 * a Postgres that is away: it waits, as it does later on.
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
    // As root the embedded Postgres is another user's, with a folder of its own in there.
    const isAlone = env.databaseUrl !== undefined || process.getuid?.() !== 0;
    const passable = isAlone ? 'nothing' : 'data folder';
    await secureDataFolder(env.dataDir, log, { passable }).catch((error: unknown) => {
      // A worker says what is wrong, takes no jobs and waits for it to be mended.
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
    const unsaid = options.unsaid ?? (options.role === 'api' ? 'nobody' : 'system');
    const { sql, db } = connectDatabase(postgres.url, log, { unsaid, role });
    closers.push(async () => {
      await db.$disconnect();
      await sql.end();
    });
    await warnOfStrongLogin(sql, role, log);
    // An API would take files that no worker finds. A worker looks for itself, again and again.
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
      baseModels: createTeamCatalogue(await createBaseModelCatalogue(env), { sql, db }, env),
      secrets,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Brings the schema up to date, and gives the roles what they need, by a login that owns the tables. */
export async function prepareDatabase(owner: Pick<Database, 'sql'>): Promise<void> {
  await migrateDatabase(owner);
  await grantAccess(owner);
}

/** What a worker has no use for, and others would find in it. */
function heldBy(role: OpenOptions['role'], env: ServiceEnv): ServiceEnv {
  return role === 'worker' ? { ...env, pepper: undefined, bootstrapKey: undefined } : env;
}

async function whenDatabaseIsThere(work: () => Promise<void>, log: Logger): Promise<void> {
  for (let told = false; ; told = true) {
    try {
      return await work();
    } catch (error) {
      const isBehind = error instanceof NotMigratedError;
      if (!isBehind && !isDatabaseAway(error)) throw error;
      if (!told) log.warn({ err: error }, isBehind ? error.message : 'Postgres is away: waiting for it');
      await sleep(1000);
    }
  }
}
