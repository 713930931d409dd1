import { join } from 'node:path';
import type { Services } from '@graft/service/services';
import { type Answer, printAnswer } from '../../answer.ts';
import type { VerbOptions } from '../../verb.ts';

/** Default data folder of the service, relative to this file: the service runs in Graft's folder, this command in any folder. */
export const defaultDataDir = join(import.meta.dirname, '../../../../../data');

/** Loaded when a verb of the database runs: the other verbs start without it. */
const loadService = async () => ({
  ...(await import('@graft/service/added-models')),
  ...(await import('@graft/service/environment')),
  ...(await import('@graft/service/keys')),
  ...(await import('@graft/service/people')),
  ...(await import('@graft/service/rotation')),
  ...(await import('@graft/service/scim')),
  ...(await import('@graft/service/services')),
  ...(await import('@graft/service/teams')),
  ...(await import('@graft/service/usage')),
});

export type Service = Awaited<ReturnType<typeof loadService>>;

/** The action of a verb that accesses DATABASE_URL and GRAFT_DATA_DIR. `work` receives the arguments and the options. */
export const overDatabase =
  <P extends unknown[]>(work: (services: Services, service: Service, ...passed: P) => Promise<Answer>) =>
  // commander passes the arguments, the options and the command.
  async (...passed: unknown[]): Promise<void> => {
    const options = passed.at(-2) as VerbOptions;
    const service = await loadService();
    // At level info, the service's log lines would be mixed with the result.
    const env = service.loadServiceEnv({
      ...process.env,
      GRAFT_DATA_DIR: process.env.GRAFT_DATA_DIR || defaultDataDir,
      LOG_LEVEL: process.env.LOG_LEVEL || 'warn',
    });
    const services = await service.openServices({ role: 'admin', env });
    try {
      printAnswer(options, await work(services, service, ...(passed.slice(0, -1) as P)));
    } finally {
      await services.close();
    }
  };

/** Unix seconds; null where there is no time. */
export const unixSeconds = <D extends Date | null>(date: D) =>
  (date === null ? null : Math.floor(date.getTime() / 1_000)) as D extends null ? null : number;
