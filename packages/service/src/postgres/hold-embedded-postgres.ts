import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Logger } from 'pino';
import { workerRole } from '../database/worker-grants.ts';
import { isRunning, processIdentity } from '../process-identity.ts';
import { ensureLogins, loginUrl } from './app-login.ts';
import { clusterUrl, ensureDatabase, ensurePostmaster, openCluster, stopPostmaster } from './cluster.ts';
import { withFolderLock } from './folder-lock.ts';

export interface EmbeddedPostgres {
  /** URL with the owner's login and password: never for logs. */
  url(database: string): string;
  /** URL with the login of the API, to which row-level security applies. */
  appUrl(database: string): string;
  /** URL with the login of workers. */
  workerUrl(database: string): string;
  port: number;
  pid: number;
  /** Whether the server was already running. */
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
