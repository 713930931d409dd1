import type { Logger } from 'pino';
import type { BaseModelCatalogue } from '../../base-models/catalogue.ts';
import type { Database } from '../../database/database.ts';
import type { SendingTimes } from '../../egress/post-pinned.ts';
import type { ServiceEnv } from '../../environment/env.ts';
import type { Secrets } from '../../secrets/secrets.ts';
import type { Stores } from '../../storage/stores.ts';
import type { RetryTimes, TeamShares } from '../../work/leased-work.ts';

export type DeployServices = Database &
  Pick<Stores, 'artifacts'> & {
    baseModels: Pick<BaseModelCatalogue, 'get'>;
    env: ServiceEnv;
    log: Logger;
    secrets: Secrets;
  };

/** Limits and intervals of deploying. The defaults are for production; tests shorten them. */
export interface DeployTimes extends RetryTimes, Required<TeamShares>, SendingTimes {
  /** A lease is renewed while the process works; after its end another process may take over so soon. */
  leaseSeconds: number;
  /** Seconds after which an attempt ends, so that one that hangs has a reason to show. */
  attemptSeconds: number;
  /** Limit for the list of a runtime's adapters; `wholeMs` is that of a load and an unload. */
  listMs: number;
  /** Interval at which a runtime is asked whether it still has the version. */
  checkSeconds: number;
  /** Seconds for which the files of an unloaded version are kept, for requests that started before. */
  filesSeconds: number;
  /** Seconds after which a deleted target is removed even if its runtime has not unloaded the adapter. */
  giveUpSeconds: number;
  /** Interval at which folders of targets that have no row are looked for. */
  sweepSeconds: number;
}
