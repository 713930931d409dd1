import { join } from 'node:path';
import type { Services } from '@graft/service';

/** Where the service keeps its data by default. The service runs in Graft's folder, the command may run in any. */
export const defaultDataDir = join(import.meta.dirname, '../../../../data');

export type Service = typeof import('@graft/service') &
  typeof import('@graft/service/rotation') &
  typeof import('@graft/service/scim');

/** Opens the service's database for one operation. */
export async function withServices<T>(
  work: (services: Services, service: Service) => Promise<T>,
): Promise<T> {
  const service = {
    ...(await import('@graft/service')),
    ...(await import('@graft/service/rotation')),
    ...(await import('@graft/service/scim')),
  };
  // At level info the service's log lines would stand between the lines of the result.
  const env = service.loadServiceEnv({
    ...process.env,
    GRAFT_DATA_DIR: process.env.GRAFT_DATA_DIR || defaultDataDir,
    LOG_LEVEL: process.env.LOG_LEVEL || 'warn',
  });
  const services = await service.openServices({ role: 'admin', env });
  try {
    return await work(services, service);
  } finally {
    await services.close();
  }
}

export const unixSeconds = (date: Date): number => Math.floor(date.getTime() / 1_000);
