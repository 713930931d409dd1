import { fileURLToPath } from 'node:url';
import type { PublicationTimes } from '@graft/service/publications';
import { settingReader } from '@graft/service/settings';
import type { WebhookSettings } from '@graft/service/webhooks';
import type { BuiltFolders } from './plugins/dashboard.ts';
import type { HeldBytes } from './plugins/limits/held-bytes.ts';
import type { OpenLimits } from './plugins/limits/open-limits.ts';
import type { RateLimits } from './plugins/limits/rate-limits.ts';
import { loadSignInSettings, type SignInSettings } from './sign-in/sign-in-settings.ts';

/** Limits and intervals of the API process. Defaults are for production; tests shorten them. */
export interface ApiSettings extends BuiltFolders {
  /** Headers that take longer to arrive are rejected with 408. */
  headersTimeoutMs: number;
  /** A body, other than an upload, that takes longer to arrive is rejected with 408. */
  bodyTimeoutMs: number;
  /** An upload without progress for this time is aborted. */
  uploadIdleMs: number;
  uploadExpirySeconds: number;
  /** Maximum pending uploads in parts per team. */
  openUploads: number;
  /** How long the completion of an upload waits for another completion of the same upload before 503. */
  completionWaitMs: number;
  /** Interval at which reports on files are searched for that were requested on other machines. */
  reportSweepMs: number;
  reportTimeoutMs: number;
  estimateTimeoutMs: number;
  /** Maximum duration of reading a job's files, in milliseconds for all files and for each megabyte (10^6 bytes). */
  validationTimeoutMs: { base: number; perMegabyte: number };
  /** A job that exceeds the memory of every live worker fails after validation. */
  refuseUnfitJobs: boolean;
  /** Maximum time for any request to arrive, slow uploads included. */
  requestTimeoutMs: number;
  /** A connection without progress for this time is closed, between requests or while its client does not read. */
  stallMs: number;
  maxConnections: number;
  openLimits: OpenLimits;
  heldBytes: HeldBytes;
  rateLimits: RateLimits;
  /** Interval at which processes exchange their request counts. */
  rateSyncMs: number;
  signIn: SignInSettings;
  /** Addresses of proxies whose X-Forwarded-For is trusted. */
  trustProxy: string[];
  /** Interval at which new events are polled, for all event streams together. */
  eventPollMs: number;
  /** Interval of comments on an idle event stream, which make proxies keep it open. */
  streamHeartbeatMs: number;
  /** How long a completion waits for a worker before 503. */
  workerWaitMs: number;
  /** Default source of sampling parameters that a request omits. */
  generationConfig: 'model' | 'none';
  /** Interval at which abandoned validations are searched for. */
  validationSweepMs: number;
  /** Maximum duration of checking a job's regular expressions against its model. */
  checkTimeoutMs: number;
  /** Overrides of the webhook defaults, for tests. */
  webhooks: Partial<WebhookSettings>;
  /** The same for publications on the Hub. */
  publications: Partial<PublicationTimes>;
  /** Maximum duration of checking the files of an uploaded adapter. */
  adapterCheckTimeoutMs: number;
  combinationTimeoutMs: number;
  /** Output of `npm run pack:client`: the `graft` command as a package. */
  clientPackage: string;
  /** Fails responses that do not match their schema, for tests. */
  checkResponses: boolean;
}

/** Reads the settings from `env`. Throws one Error that names every invalid variable. */
export function loadApiSettings(env: NodeJS.ProcessEnv = process.env): ApiSettings {
  const reader = settingReader(env);
  const { read } = reader;
  const limitsOf = (holder: 'KEY' | 'TEAM' | 'ADDRESS') => ({
    requests: read(`GRAFT_MAX_REQUESTS_PER_${holder}`),
    uploads: read(`GRAFT_MAX_UPLOADS_PER_${holder}`),
    streams: read(`GRAFT_MAX_STREAMS_PER_${holder}`),
    completions: read(`GRAFT_MAX_COMPLETIONS_PER_${holder}`),
  });
  return {
    headersTimeoutMs: 20_000,
    bodyTimeoutMs: 30_000,
    uploadIdleMs: 60_000,
    uploadExpirySeconds: read('GRAFT_UPLOAD_EXPIRY_SECONDS'),
    openUploads: read('GRAFT_MAX_OPEN_UPLOADS'),
    completionWaitMs: 20_000,
    reportSweepMs: 5_000,
    reportTimeoutMs: 15 * 60_000,
    estimateTimeoutMs: 30_000,
    validationTimeoutMs: { base: 10 * 60_000, perMegabyte: 30_000 },
    refuseUnfitJobs: read('GRAFT_REFUSE_UNFIT_JOBS'),
    requestTimeoutMs: 60 * 60_000,
    stallMs: 75_000,
    maxConnections: read('GRAFT_MAX_CONNECTIONS'),
    openLimits: {
      perKey: limitsOf('KEY'),
      perTeam: limitsOf('TEAM'),
      perAddress: { connections: read('GRAFT_MAX_CONNECTIONS_PER_ADDRESS'), ...limitsOf('ADDRESS') },
    },
    heldBytes: { perTeam: 128 * 2 ** 20, all: 384 * 2 ** 20, always: 8 * 2 ** 20 },
    rateLimits: {
      perKey: read('GRAFT_RATE_PER_KEY'),
      perAddress: read('GRAFT_RATE_PER_ADDRESS'),
      wrongKeysPerAddress: read('GRAFT_RATE_WRONG_KEYS_PER_ADDRESS'),
      signInsPerAddress: read('GRAFT_RATE_SIGN_INS_PER_ADDRESS'),
    },
    rateSyncMs: 500,
    trustProxy: read('GRAFT_TRUST_PROXY'),
    eventPollMs: 1_000,
    streamHeartbeatMs: 15_000,
    workerWaitMs: 3_000,
    generationConfig: read('GRAFT_GENERATION_CONFIG'),
    validationSweepMs: 10_000,
    checkTimeoutMs: 3_000,
    webhooks: {},
    publications: {},
    adapterCheckTimeoutMs: 60_000,
    combinationTimeoutMs: 120_000,
    dashboardFolder: fileURLToPath(new URL('../../web/dist', import.meta.url)),
    guideFolder: fileURLToPath(new URL('../../web/guide/dist', import.meta.url)),
    clientPackage: fileURLToPath(new URL('../../cli/dist/graft-cli.tgz', import.meta.url)),
    checkResponses: false,
    // Last, since it also throws the errors of the settings above.
    signIn: loadSignInSettings(reader),
  };
}
