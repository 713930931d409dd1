import type { Logger } from 'pino';
import { dataFolder } from '../data-folder/data-folder.ts';
import type { ServiceEnv } from '../environment/env.ts';
import { holdEmbeddedPostgres } from './hold-embedded-postgres.ts';

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
