import type { Logger } from 'pino';
import type { ServiceEnv } from '../env.ts';
import { dataFolder } from '../storage/data-folder.ts';
import { holdEmbeddedPostgres } from './hold-embedded-postgres.ts';

/**
 * The Postgres to use: DATABASE_URL when set, else the embedded one of the data folder, started unless another
 * process of this Graft already runs it. `release` gives up this process's hold; the last one out stops it.
 */
export async function acquirePostgres(
  env: Pick<ServiceEnv, 'databaseUrl' | 'dataDir'>,
  log: Logger,
): Promise<{ url: string; embedded: boolean; release(): Promise<void> }> {
  if (env.databaseUrl !== undefined) {
    return { url: env.databaseUrl, embedded: false, release: async () => {} };
  }
  const held = await holdEmbeddedPostgres(dataFolder(env.dataDir).postgres, log);
  return { url: held.url('graft'), embedded: true, release: held.release };
}
