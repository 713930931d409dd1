import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import {
  clusterUrl,
  ensureDatabase,
  ensurePostmaster,
  openCluster,
  stopPostmaster,
} from '../postgres/cluster.ts';

export interface PrivatePostgres {
  url: string;
  /** `immediate` is a crash: sessions are cut off without a checkpoint. */
  stop(how: 'fast' | 'immediate'): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a Postgres server for a single test, which may do anything to it. Takes about two seconds. */
export async function startPrivatePostgres(): Promise<PrivatePostgres> {
  const folder = await mkdtemp(path.join(tmpdir(), 'graft-private-postgres-'));
  const cluster = await openCluster(folder, pino({ level: 'silent' }));
  let postmaster = await ensurePostmaster(cluster);
  await ensureDatabase(cluster, 'graft');
  return {
    url: clusterUrl(cluster, 'graft'),
    stop: async (how) => {
      if (how === 'immediate') process.kill(postmaster.pid, 'SIGQUIT');
      await stopPostmaster(postmaster);
    },
    start: async () => {
      postmaster = await ensurePostmaster(cluster);
    },
    close: async () => {
      await stopPostmaster(postmaster);
      await rm(cluster.dataFolder, { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true });
    },
  };
}
