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
  /** As the owner of everything, with the password: never for logs. */
  url(database: string): string;
  /** As Graft's own login, which row-level security holds. */
  appUrl(database: string): string;
  /** As the login of workers. */
  workerUrl(database: string): string;
  port: number;
  pid: number;
  /** The server ran already. */
  adopted: boolean;
  /** Gives up this hold. The last holder's release stops the server. */
  release(): Promise<void>;
}

/** How often a holder looks whether the server still runs. */
const watchMs = 1_000;

/**
 * Takes a hold on the Postgres of `folder` (made, started, adopted or recovered as need be), for this process. Any
 * number of processes may hold it; a holder that died without a release counts no more. While held, a server that
 * dies is started again, on the same port when that is still free.
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
