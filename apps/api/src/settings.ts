import { fileURLToPath } from 'node:url';
import type { WebhookSettings } from '@graft/service';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
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

/** 0: no limit. */
const rate = (fallback: number) => Type.String({ pattern: '^[0-9]{1,7}$', default: String(fallback) });
const count = (fallback: number) => Type.String({ pattern: '^[1-9][0-9]{0,6}$', default: String(fallback) });

/** Every variable that only the API reads, as text. An empty one counts as unset. */
const EnvSchema = Type.Object({
  GRAFT_MAX_CONNECTIONS: count(8192),
  GRAFT_MAX_CONNECTIONS_PER_ADDRESS: count(2048),
  GRAFT_MAX_REQUESTS_PER_KEY: count(512),
  GRAFT_MAX_REQUESTS_PER_TEAM: count(1024),
  GRAFT_MAX_REQUESTS_PER_ADDRESS: count(1024),
  GRAFT_MAX_UPLOADS_PER_KEY: count(16),
  GRAFT_MAX_UPLOADS_PER_TEAM: count(64),
  GRAFT_MAX_UPLOADS_PER_ADDRESS: count(64),
  GRAFT_RATE_PER_KEY: rate(60_000),
  GRAFT_RATE_PER_ADDRESS: rate(120_000),
  GRAFT_RATE_WRONG_KEYS_PER_ADDRESS: rate(3_000),
  GRAFT_RATE_SIGN_INS_PER_ADDRESS: rate(300),
  GRAFT_UPLOAD_EXPIRY_SECONDS: count(3600),
  GRAFT_MAX_OPEN_UPLOADS: count(16),
  GRAFT_MAX_STREAMS_PER_KEY: count(256),
  GRAFT_MAX_STREAMS_PER_TEAM: count(512),
  GRAFT_MAX_STREAMS_PER_ADDRESS: count(512),
  GRAFT_MAX_COMPLETIONS_PER_KEY: count(256),
  GRAFT_MAX_COMPLETIONS_PER_TEAM: count(512),
  GRAFT_MAX_COMPLETIONS_PER_ADDRESS: count(512),
  GRAFT_REFUSE_UNFIT_JOBS: Type.Enum(['0', '1'], { default: '1' }),
  GRAFT_GENERATION_CONFIG: Type.Enum(['model', 'none'], { default: 'model' }),
  GRAFT_TRUST_PROXY: Type.String({ default: '' }),
  GRAFT_PUBLIC_URL: Type.Optional(Type.String()),
  GRAFT_OIDC_CONFIG: Type.Optional(Type.String()),
  GRAFT_OIDC_CLIENT_SECRET: Type.Optional(Type.String()),
  GRAFT_SESSION_SECONDS: count(7 * 24 * 3600),
  GRAFT_SESSION_IDLE_SECONDS: count(12 * 3600),
  GRAFT_OPERATOR_SESSION_SECONDS: count(3600),
  GRAFT_OPERATOR_SESSION_IDLE_SECONDS: count(15 * 60),
});

/** The settings that `env` asks for, by default the process's. Throws one Error that names every faulty variable. */
export function loadApiSettings(env: NodeJS.ProcessEnv = process.env): ApiSettings {
  const given = Object.fromEntries(
    Object.keys(EnvSchema.properties).map((name) => [name, env[name] || undefined]),
  );
  const filled = Value.Default(EnvSchema, given) as Static<typeof EnvSchema>;
  const faults = Value.Errors(EnvSchema, filled).map(
    (error) => `  ${error.instancePath.slice(1)} ${error.message}`,
  );
  if (faults.length > 0) throw new Error(`Faulty environment:\n${faults.join('\n')}`);
  return {
    headersTimeoutMs: 20_000,
    bodyTimeoutMs: 30_000,
    uploadIdleMs: 60_000,
    uploadExpirySeconds: Number(filled.GRAFT_UPLOAD_EXPIRY_SECONDS),
    openUploads: Number(filled.GRAFT_MAX_OPEN_UPLOADS),
    completionWaitMs: 20_000,
    reportSweepMs: 5_000,
    reportTimeoutMs: 15 * 60_000,
    estimateTimeoutMs: 30_000,
    refuseUnfitJobs: filled.GRAFT_REFUSE_UNFIT_JOBS === '1',
    requestTimeoutMs: 60 * 60_000,
    stallMs: 75_000,
    maxConnections: Number(filled.GRAFT_MAX_CONNECTIONS),
    openLimits: {
      perKey: {
        requests: Number(filled.GRAFT_MAX_REQUESTS_PER_KEY),
        uploads: Number(filled.GRAFT_MAX_UPLOADS_PER_KEY),
        streams: Number(filled.GRAFT_MAX_STREAMS_PER_KEY),
        completions: Number(filled.GRAFT_MAX_COMPLETIONS_PER_KEY),
      },
      perTeam: {
        requests: Number(filled.GRAFT_MAX_REQUESTS_PER_TEAM),
        uploads: Number(filled.GRAFT_MAX_UPLOADS_PER_TEAM),
        streams: Number(filled.GRAFT_MAX_STREAMS_PER_TEAM),
        completions: Number(filled.GRAFT_MAX_COMPLETIONS_PER_TEAM),
      },
      perAddress: {
        connections: Number(filled.GRAFT_MAX_CONNECTIONS_PER_ADDRESS),
        requests: Number(filled.GRAFT_MAX_REQUESTS_PER_ADDRESS),
        uploads: Number(filled.GRAFT_MAX_UPLOADS_PER_ADDRESS),
        streams: Number(filled.GRAFT_MAX_STREAMS_PER_ADDRESS),
        completions: Number(filled.GRAFT_MAX_COMPLETIONS_PER_ADDRESS),
      },
    },
    rateLimits: {
      perKey: Number(filled.GRAFT_RATE_PER_KEY),
      perAddress: Number(filled.GRAFT_RATE_PER_ADDRESS),
      wrongKeysPerAddress: Number(filled.GRAFT_RATE_WRONG_KEYS_PER_ADDRESS),
      signInsPerAddress: Number(filled.GRAFT_RATE_SIGN_INS_PER_ADDRESS),
    },
    rateSyncMs: 500,
    signIn: loadSignInSettings(filled),
    trustProxy: filled.GRAFT_TRUST_PROXY.split(',')
      .map((address) => address.trim())
      .filter(Boolean),
    eventPollMs: 1_000,
    streamHeartbeatMs: 15_000,
    workerWaitMs: 3_000,
    generationConfig: filled.GRAFT_GENERATION_CONFIG,
    validationSweepMs: 10_000,
    checkTimeoutMs: 3_000,
    webhooks: {},
    adapterCheckTimeoutMs: 60_000,
    dashboardFolder: fileURLToPath(new URL('../../web/dist', import.meta.url)),
    clientPackage: fileURLToPath(new URL('../../cli/dist/graft-cli.tgz', import.meta.url)),
    checkResponses: false,
  };
}
