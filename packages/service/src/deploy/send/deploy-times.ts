import type { Logger } from 'pino';
import type { Database } from '../../database/database.ts';
import type { ServiceEnv } from '../../environment/env.ts';
import type { Secrets } from '../../secrets/secrets.ts';
import type { SendingTimes } from '../../start-sending.ts';
import type { Stores } from '../../storage/stores.ts';
import type { RetryLimits } from './record-target.ts';

export type DeployServices = Database &
  Pick<Stores, 'artifacts'> & { env: ServiceEnv; log: Logger; secrets: Secrets };

/** Limits and intervals of deploying. The defaults are for production; tests shorten them. */
export interface DeployTimes extends RetryLimits, SendingTimes {
  /** Approximate maximum number of a team's targets that all processes work on concurrently. */
  perTeam: number;
  leaseSeconds: number;
  /** Interval at which a runtime is asked whether it still has the version. */
  checkSeconds: number;
  /** Seconds for which the files of an unloaded version are kept, for requests that started before. */
  filesSeconds: number;
  /** Seconds after which a deleted target is removed even if its runtime has not unloaded the adapter. */
  giveUpSeconds: number;
}
