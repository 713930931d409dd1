import { fileURLToPath } from 'node:url';
import { settingReader, type WebhookSettings } from '@graft/service';
import type { OpenLimits } from './plugins/limits/open-limits.ts';
import type { RateLimits } from './plugins/limits/rate-limits.ts';
import { loadSignInSettings, type SignInSettings } from './sign-in/sign-in-settings.ts';

/** Limits and rhythms of the API process. The defaults are for production; tests shorten them. */
export interface ApiSettings {
  /** Headers that take longer to arrive are given up with 408. */
  headersTimeoutMs: number;
  /** A body that takes longer to arrive, but for an upload's, is given up with 408. */
  bodyTimeoutMs: number;
  /** An upload without a byte for this long is cut off. */
  uploadIdleMs: number;
  /** Seconds until an upload in parts that nobody has completed is given up. */
  uploadExpirySeconds: number;
  /** Uploads in parts that a team may have pending. */
  openUploads: number;
  /** How long a completion waits for another one of the same upload before 503. */
  completionWaitMs: number;
  /** How often reports on files that no process of this machine was told of are looked for. */
  reportSweepMs: number;
  /** How long one report may take. */
  reportTimeoutMs: number;
  /** How long it may take to tell what a job comes to. */
  estimateTimeoutMs: number;
  /** A job that no live worker has the memory for fails once its files are validated. */
  refuseUnfitJobs: boolean;
  /** The longest any request, a slow upload too, may take to arrive. */
  requestTimeoutMs: number;
  /** A connection on which nothing moves for this long is closed: between requests, or when its client does not read. */
  stallMs: number;
  /** Connections of all clients together. */
  maxConnections: number;
  openLimits: OpenLimits;
  rateLimits: RateLimits;
  /** How often the processes tell each other how many requests came. */
  rateSyncMs: number;
  signIn: SignInSettings;
  /** Addresses of proxies whose X-Forwarded-For is believed. */
  trustProxy: string[];
  /** How often new events are looked for, for all event streams at once. */
  eventPollMs: number;
  /** A silent event stream sends a comment this often, so that proxies keep it open. */
  streamHeartbeatMs: number;
  /** How long a completion waits for a worker before 503. */
  workerWaitMs: number;
  /** What decides sampling parameters that a request does not have, and does not say who decides. */
  generationConfig: 'model' | 'none';
  /** How often jobs whose validation was abandoned are looked for. */
  validationSweepMs: number;
  /** How long checking a job's regular expressions against its model may take. */
  checkTimeoutMs: number;
  /** Where sending webhooks differs from its defaults: tests. */
  webhooks: Partial<WebhookSettings>;
  /** How long checking the files of an uploaded adapter may take. */
  adapterCheckTimeoutMs: number;
  /** Where `npm run dashboard` has built the dashboard. */
  dashboardFolder: string;
  /** What `npm run pack:client` has written: the `graft` command as a package. */
  clientPackage: string;
  /** Answers that do not match their schema fail: tests. */
  checkResponses: boolean;
}

/** Reads the settings from `env`. Throws one Error that names every faulty variable. */
export function loadApiSettings(env: NodeJS.ProcessEnv = process.env): ApiSettings {
  const reader = settingReader(env);
  const { read } = reader;
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
    refuseUnfitJobs: read('GRAFT_REFUSE_UNFIT_JOBS'),
    requestTimeoutMs: 60 * 60_000,
    stallMs: 75_000,
    maxConnections: read('GRAFT_MAX_CONNECTIONS'),
    openLimits: {
      perKey: {
        requests: read('GRAFT_MAX_REQUESTS_PER_KEY'),
        uploads: read('GRAFT_MAX_UPLOADS_PER_KEY'),
        streams: read('GRAFT_MAX_STREAMS_PER_KEY'),
        completions: read('GRAFT_MAX_COMPLETIONS_PER_KEY'),
      },
      perTeam: {
        requests: read('GRAFT_MAX_REQUESTS_PER_TEAM'),
        uploads: read('GRAFT_MAX_UPLOADS_PER_TEAM'),
        streams: read('GRAFT_MAX_STREAMS_PER_TEAM'),
        completions: read('GRAFT_MAX_COMPLETIONS_PER_TEAM'),
      },
      perAddress: {
        connections: read('GRAFT_MAX_CONNECTIONS_PER_ADDRESS'),
        requests: read('GRAFT_MAX_REQUESTS_PER_ADDRESS'),
        uploads: read('GRAFT_MAX_UPLOADS_PER_ADDRESS'),
        streams: read('GRAFT_MAX_STREAMS_PER_ADDRESS'),
        completions: read('GRAFT_MAX_COMPLETIONS_PER_ADDRESS'),
      },
    },
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
    adapterCheckTimeoutMs: 60_000,
    dashboardFolder: fileURLToPath(new URL('../../web/dist', import.meta.url)),
    clientPackage: fileURLToPath(new URL('../../cli/dist/graft-cli.tgz', import.meta.url)),
    checkResponses: false,
    // Last, as it also throws what is wrong with the settings above.
    signIn: loadSignInSettings(reader),
  };
}
