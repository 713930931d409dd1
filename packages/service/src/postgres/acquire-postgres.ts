import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { dataFolder } from '../data-folder/data-folder.ts';
import { workerRole } from '../database/worker-grants.ts';
import type { ServiceEnv } from '../environment/env.ts';
import { isRunning, processIdentity } from '../process-identity.ts';
import { ensureLogins, loginUrl } from './app-login.ts';
import { clusterUrl, ensureDatabase, ensurePostmaster, openCluster, stopPostmaster } from './cluster.ts';

/**
 * Returns the Postgres to use: DATABASE_URL if it is set, otherwise the embedded one of the data folder, which is started unless another
 * process of this Graft runs it. `ownerUrl` is for migrations and backups. `release` ends this process's hold; the last release stops the
 * embedded server.
 */
export async function acquirePostgres(
  env: Pick<ServiceEnv, 'databaseUrl' | 'migrationDatabaseUrl' | 'dataDir'>,
  log: Logger,
  role: 'api' | 'worker' | 'admin' = 'api',
): Promise<{ url: string; ownerUrl: string; embedded: boolean; release(): Promise<void> }> {
  if (env.databaseUrl !== undefined) {
    const ownerUrl = env.migrationDatabaseUrl ?? env.databaseUrl;
    return { url: env.databaseUrl, ownerUrl, embedded: false, release: async () => {} };
  }
  const held = await holdEmbeddedPostgres(dataFolder(env.dataDir).postgres, log);
  const url = role === 'worker' ? held.workerUrl('graft') : held.appUrl('graft');
  return { url, ownerUrl: held.url('graft'), embedded: true, release: held.release };
}

export interface EmbeddedPostgres {
  /** URL with the owner's login and password: never for logs. */
  url(database: string): string;
  /** URL with the login of the API, to which row-level security applies. */
  appUrl(database: string): string;
  /** URL with the login of workers. */
  workerUrl(database: string): string;
  port: number;
  pid: number;
  /** True where the server was already running. */
  adopted: boolean;
  /** Ends this hold. The last holder's release stops the server. */
  release(): Promise<void>;
}

/** Interval at which a holder checks that the server runs. */
const watchMs = 1_000;

/**
 * Takes a hold on the Postgres of `folder` for this process, and creates, starts, adopts or recovers it as needed. Any number of processes
 * may hold it; holders that died without a release do not count. While held, a server that dies is restarted, on the same port if it is
 * still free.
 */
export async function holdEmbeddedPostgres(folder: string, log: Logger): Promise<EmbeddedPostgres> {
  const holders = path.join(folder, 'holders');
  mkdirSync(holders, { recursive: true, mode: 0o755 });
  const own = path.join(holders, randomBytes(8).toString('hex'));

  const { cluster, first } = await withFolderLock(folder, async () => {
    const cluster = await openCluster(folder, log);
    const first = await ensurePostmaster(cluster);
    await ensureDatabase(cluster, 'graft');
    await ensureLogins(cluster);
    writeFileSync(own, processIdentity(process.pid) ?? '', { mode: 0o600 });
    return { cluster, first };
  });
  let postmaster = first;

  let released = false;
  let recovery: Promise<void> | null = null;
  const watch = setInterval(() => {
    if (recovery || released || isRunning(postmaster.identity)) return;
    log.error({ pid: postmaster.pid }, 'Postgres has died, starting it again');
    recovery = withFolderLock(folder, async () => {
      postmaster = await ensurePostmaster(cluster);
    })
      .catch((error: unknown) => log.error({ err: error }, 'Postgres could not be started again'))
      .finally(() => {
        recovery = null;
      });
  }, watchMs);
  watch.unref();

  return {
    url: (database) => clusterUrl(cluster, database),
    appUrl: (database) => loginUrl(cluster, 'graft_app', database),
    workerUrl: (database) => loginUrl(cluster, workerRole, database),
    port: cluster.port,
    pid: first.pid,
    adopted: first.adopted,
    release: async () => {
      if (released) return;
      released = true;
      clearInterval(watch);
      await recovery;
      await withFolderLock(folder, async () => {
        rmSync(own, { force: true });
        if (!hasLivingHolder(holders)) await stopPostmaster(postmaster);
      });
    },
  };
}

function hasLivingHolder(holders: string): boolean {
  let living = false;
  for (const name of readdirSync(holders)) {
    const file = path.join(holders, name);
    if (isRunning(readFileSync(file, 'utf8'))) living = true;
    else rmSync(file, { force: true });
  }
  return living;
}

/**
 * Runs `work` while only this process holds `<folder>/lock`. Breaks the lock of a process that died. For work before a database is
 * available for locking.
 */
export async function withFolderLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const lock = path.join(folder, 'lock');
  const draft = `${lock}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, processIdentity(process.pid) ?? String(process.pid), { mode: 0o600 });
  try {
    await take(lock, draft);
  } finally {
    await rm(draft, { force: true });
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

async function take(lock: string, draft: string): Promise<void> {
  for (const end = performance.now() + 120_000; performance.now() < end; await sleep(25)) {
    try {
      await link(draft, lock);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = await readFile(lock, 'utf8').catch(() => null);
    if (owner !== null && !isRunning(owner)) await breakLock(lock, owner);
  }
  throw new Error(`Another process has held ${lock} for two minutes.`);
}

async function breakLock(lock: string, deadOwner: string): Promise<void> {
  const grave = `${lock}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(lock, grave);
  } catch {
    return;
  }
  // Another process may have broken and taken the lock between the read and the rename: put its lock back.
  const found = await readFile(grave, 'utf8');
  if (found !== deadOwner) await link(grave, lock).catch(() => {});
  await rm(grave, { force: true });
}
