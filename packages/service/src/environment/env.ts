import { availableParallelism } from 'node:os';
import path from 'node:path';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { isLoopback } from '../channel/worker-proof.ts';
import { isAllowEntry } from '../egress/address-rules.ts';
import { parseApiKey } from '../secrets/api-key.ts';
import { hasExamplePassword, isExample, isPlaceholder } from '../secrets/placeholder.ts';
import { parseRing } from '../secrets/secret-ring.ts';
import type { SecretSettings } from '../secrets/secrets.ts';
import { auditSinkFault } from './audit-sink-fault.ts';
import { cacheFolder } from './cache-folder.ts';
import { readSecretFiles } from './secret-files.ts';
import { isSourceEntry } from './source-entry.ts';

const seconds = (fallback: string) => Type.String({ pattern: '^[0-9]{1,5}(\\.[0-9]+)?$', default: fallback });

/** Every variable the service reads, but those of `cacheFolder`, as text. An empty one counts as unset. */
const EnvSchema = Type.Object({
  PORT: Type.String({ pattern: '^[0-9]{1,5}$', default: '8000' }),
  HOST: Type.String({ default: '127.0.0.1' }),
  GRAFT_DATA_DIR: Type.String({ default: 'data' }),
  DATABASE_URL: Type.Optional(Type.String({ pattern: '^postgres(ql)?://' })),
  GRAFT_MIGRATION_DATABASE_URL: Type.Optional(Type.String({ pattern: '^postgres(ql)?://' })),
  REDIS_URL: Type.Optional(Type.String({ pattern: '^rediss?://' })),
  GRAFT_BOOTSTRAP_KEY: Type.Optional(Type.String()),
  GRAFT_PEPPER: Type.Optional(Type.String({ minLength: 16 })),
  GRAFT_SEALING_KEY: Type.Optional(Type.String({ minLength: 16 })),
  GRAFT_INTERNAL_TOKEN: Type.Optional(Type.String({ minLength: 16 })),
  GRAFT_INTERNAL_TLS_CERT: Type.Optional(Type.String()),
  GRAFT_INTERNAL_TLS_KEY: Type.Optional(Type.String()),
  GRAFT_INTERNAL_TLS_CA: Type.Optional(Type.String()),
  GRAFT_WORKER_HOST: Type.String({ default: '127.0.0.1' }),
  GRAFT_WORKER_PORT: Type.String({ pattern: '^[0-9]{1,5}$', default: '0' }),
  GRAFT_WORKER_URL: Type.Optional(Type.String({ pattern: '^https?://' })),
  GRAFT_LEASE_SECONDS: seconds('60'),
  GRAFT_HEARTBEAT_SECONDS: seconds('10'),
  GRAFT_SWEEP_SECONDS: seconds('10'),
  GRAFT_PREEMPT_SECONDS: seconds('0'),
  GRAFT_VALIDATION_THREADS: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,2}$' })),
  GRAFT_BASE_MODELS: Type.Optional(Type.String()),
  GRAFT_HUB_ALLOW: Type.String({ default: '' }),
  GRAFT_BASE_MODEL_SOURCES: Type.String({ default: '' }),
  GRAFT_WEBHOOK_ALLOW: Type.String({ default: '' }),
  GRAFT_INTEGRATION_ALLOW: Type.String({ default: '' }),
  HF_ENDPOINT: Type.Optional(Type.String({ pattern: '^https?://' })),
  HF_TOKEN: Type.Optional(Type.String()),
  GRAFT_MIN_FREE_BYTES: Type.String({ pattern: '^[0-9]{1,15}$', default: String(2 ** 30) }),
  ARTIFACTS_URL: Type.Optional(
    Type.String({ pattern: '^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9._-]+)*/?$' }),
  ),
  GRAFT_S3_ENDPOINT: Type.Optional(Type.String({ pattern: '^https?://' })),
  GRAFT_STORAGE_CACHE_BYTES: Type.String({ pattern: '^[0-9]{1,15}$', default: String(20 * 2 ** 30) }),
  GRAFT_MAX_UPLOAD_BYTES: Type.String({ pattern: '^[0-9]{1,15}$', default: String(512 * 2 ** 20) }),
  GRAFT_ADAPTER_RETENTION_DAYS: Type.String({ pattern: '^[0-9]{1,4}$', default: '30' }),
  GRAFT_AUDIT_SINK: Type.Optional(Type.String()),
  GRAFT_AUDIT_SINK_TOKEN: Type.Optional(Type.String({ minLength: 16 })),
  GRAFT_METRICS_TOKEN: Type.Optional(Type.String({ minLength: 16 })),
  GRAFT_METRICS_LOOPBACK: Type.Enum(['true', 'false'], { default: 'false' }),
  GRAFT_METRICS_BY_TEAM: Type.Enum(['true', 'false'], { default: 'false' }),
  LOG_LEVEL: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], { default: 'info' }),
});

/** Settings of API, worker and admin commands, parsed once at the edge. */
export interface ServiceEnv extends SecretSettings {
  port: number;
  host: string;
  /** Absolute; shared by every Graft of this user. */
  cacheDir: string;
  /** Absent: the embedded Postgres under `dataDir`. */
  databaseUrl: string | undefined;
  /** The same database by a login that owns its tables. Absent: `databaseUrl` is one. */
  migrationDatabaseUrl: string | undefined;
  /** Absent: the queue lives in Postgres. */
  redisUrl: string | undefined;
  bootstrapKey: string | undefined;
  /** Where a worker's internal server listens. */
  workerHost: string;
  /** 0: any free port. */
  workerPort: number;
  /** What the worker tells the API to call it by, when that is not `http://workerHost:workerPort`. */
  workerUrl: string | undefined;
  leaseSeconds: number;
  heartbeatSeconds: number;
  sweepSeconds: number;
  /** How long a team waits without a running job until a longer job of another team gives way; 0: that never does. */
  preemptSeconds: number;
  /** Files that one API process reads at once. */
  validationThreads: number;
  /** The operator's JSON file of further base models. Absolute. */
  baseModelsFile: string | undefined;
  /** Globs of Hub ids that may be used as base models. */
  hubAllow: string[];
  /** Where the operator's keys may add base models from: `hub:` globs, folders, `s3://` prefixes. */
  baseModelSources: string[];
  /** Addresses, ranges and host names inside that webhooks may be sent to. */
  webhookAllow: string[];
  /** The same of servers that metrics may be sent to. */
  integrationAllow: string[];
  hfEndpoint: string | undefined;
  hfToken: string | undefined;
  /** A worker whose data folder has less free space takes no jobs. */
  minFreeBytes: number;
  maxUploadBytes: number;
  /** How long a deleted adapter version can be restored. */
  adapterRetentionDays: number;
  /** `https://…` or `file:/…`: where the audit log is exported to. Absent: nowhere. */
  auditSink: string | undefined;
  auditSinkToken: string | undefined;
  /** Whoever has it reads /metrics. Absent: nobody does, unless `metricsLoopback`. */
  metricsToken: string | undefined;
  /** No proxy on this machine leads here, so that processes of this machine may read /metrics without a token. */
  metricsLoopback: boolean;
  /** Metrics may name teams. */
  metricsByTeam: boolean;
  /** `s3://bucket/prefix`: where files, artifacts and checkpoints lie. Absent: under `dataDir`. */
  artifactsUrl: string | undefined;
  /** A server of the S3 protocol that is not AWS. */
  s3Endpoint: string | undefined;
  /** What may be kept under `dataDir` of a store that lies elsewhere. */
  storageCacheBytes: number;
  logLevel: Static<typeof EnvSchema>['LOG_LEVEL'];
}

/** Reads the environment. Throws one Error that names every faulty variable, never a value. */
export function loadServiceEnv(env: NodeJS.ProcessEnv = process.env): ServiceEnv {
  readSecretFiles(env);
  const given = Object.fromEntries(
    Object.keys(EnvSchema.properties).map((name) => [name, env[name] || undefined]),
  );
  const filled = Value.Default(EnvSchema, given) as Static<typeof EnvSchema>;
  const faults = new Set<string>();
  for (const error of Value.Errors(EnvSchema, filled)) {
    faults.add(`${error.instancePath.slice(1)} ${error.message}`);
  }
  if (filled.GRAFT_MIGRATION_DATABASE_URL !== undefined && filled.DATABASE_URL === undefined)
    faults.add(
      'GRAFT_MIGRATION_DATABASE_URL needs DATABASE_URL: the embedded Postgres has logins of its own',
    );
  if (filled.GRAFT_BOOTSTRAP_KEY !== undefined && !parseApiKey(filled.GRAFT_BOOTSTRAP_KEY)) {
    faults.add(
      'GRAFT_BOOTSTRAP_KEY must have the form graft_<keyid>_<secret>: letters and digits, 8 to 32 and 24 to 64',
    );
  }
  for (const fault of secretFaults(filled, env)) faults.add(fault);
  for (const name of ['PORT', 'GRAFT_WORKER_PORT'] as const) {
    if (Number(filled[name]) > 65_535) faults.add(`${name} must be at most 65535`);
  }
  const webhookAllow = listIn(filled.GRAFT_WEBHOOK_ALLOW);
  const integrationAllow = listIn(filled.GRAFT_INTEGRATION_ALLOW);
  for (const [name, entries] of Object.entries({
    GRAFT_WEBHOOK_ALLOW: webhookAllow,
    GRAFT_INTEGRATION_ALLOW: integrationAllow,
  })) {
    if (!entries.every(isAllowEntry))
      faults.add(`${name} must list addresses, ranges such as 10.1.0.0/16, and host names`);
  }
  const sinkFault = filled.GRAFT_AUDIT_SINK === undefined ? null : auditSinkFault(filled.GRAFT_AUDIT_SINK);
  if (sinkFault) faults.add(`GRAFT_AUDIT_SINK ${sinkFault}`);
  const baseModelSources = listIn(filled.GRAFT_BASE_MODEL_SOURCES);
  if (!baseModelSources.every(isSourceEntry))
    faults.add(
      'GRAFT_BASE_MODEL_SOURCES must list hub:organisation/glob, absolute folders and s3://bucket/prefix',
    );
  const tls = [
    filled.GRAFT_INTERNAL_TLS_CERT,
    filled.GRAFT_INTERNAL_TLS_KEY,
    filled.GRAFT_INTERNAL_TLS_CA,
  ] as const;
  const [cert, key, ca] = tls;
  const internalTls = cert && key && ca ? { cert, key, ca } : undefined;
  if (!internalTls && tls.some(Boolean))
    faults.add(
      'GRAFT_INTERNAL_TLS_CERT, GRAFT_INTERNAL_TLS_KEY and GRAFT_INTERNAL_TLS_CA must be set together',
    );
  if (filled.GRAFT_WORKER_URL?.startsWith('http:') && (internalTls || !isLoopback(filled.GRAFT_WORKER_URL)))
    faults.add(
      'GRAFT_WORKER_URL must begin with https://, unless it is of this machine and GRAFT_INTERNAL_TLS_CERT is not set',
    );
  const lease = Number(filled.GRAFT_LEASE_SECONDS);
  const heartbeat = Number(filled.GRAFT_HEARTBEAT_SECONDS);
  if (heartbeat <= 0) faults.add('GRAFT_HEARTBEAT_SECONDS must be greater than 0');
  // One lost heartbeat must not lose the lease.
  if (lease < 2 * heartbeat) faults.add('GRAFT_LEASE_SECONDS must be at least twice GRAFT_HEARTBEAT_SECONDS');
  if (Number(filled.GRAFT_SWEEP_SECONDS) <= 0) faults.add('GRAFT_SWEEP_SECONDS must be greater than 0');
  if (faults.size > 0)
    throw new Error(`Faulty environment:\n${[...faults].map((fault) => `  ${fault}`).join('\n')}`);

  return {
    port: Number(filled.PORT),
    host: filled.HOST,
    dataDir: path.resolve(filled.GRAFT_DATA_DIR),
    cacheDir: cacheFolder(env),
    databaseUrl: filled.DATABASE_URL,
    migrationDatabaseUrl: filled.GRAFT_MIGRATION_DATABASE_URL,
    redisUrl: filled.REDIS_URL,
    bootstrapKey: filled.GRAFT_BOOTSTRAP_KEY,
    pepper: filled.GRAFT_PEPPER,
    sealingKey: filled.GRAFT_SEALING_KEY,
    internalToken: filled.GRAFT_INTERNAL_TOKEN,
    internalTls,
    workerHost: filled.GRAFT_WORKER_HOST,
    workerPort: Number(filled.GRAFT_WORKER_PORT),
    workerUrl: filled.GRAFT_WORKER_URL,
    leaseSeconds: lease,
    heartbeatSeconds: heartbeat,
    sweepSeconds: Number(filled.GRAFT_SWEEP_SECONDS),
    preemptSeconds: Number(filled.GRAFT_PREEMPT_SECONDS),
    // Two even on one core: the last one is for a team that has no other, so that no team waits for another's large files.
    validationThreads: Number(filled.GRAFT_VALIDATION_THREADS ?? Math.max(2, availableParallelism() - 1)),
    baseModelsFile:
      filled.GRAFT_BASE_MODELS === undefined ? undefined : path.resolve(filled.GRAFT_BASE_MODELS),
    hubAllow: listIn(filled.GRAFT_HUB_ALLOW),
    baseModelSources,
    webhookAllow,
    integrationAllow,
    hfEndpoint: filled.HF_ENDPOINT,
    hfToken: filled.HF_TOKEN,
    minFreeBytes: Number(filled.GRAFT_MIN_FREE_BYTES),
    maxUploadBytes: Number(filled.GRAFT_MAX_UPLOAD_BYTES),
    auditSink: filled.GRAFT_AUDIT_SINK,
    auditSinkToken: filled.GRAFT_AUDIT_SINK_TOKEN,
    metricsToken: filled.GRAFT_METRICS_TOKEN,
    metricsLoopback: filled.GRAFT_METRICS_LOOPBACK === 'true',
    metricsByTeam: filled.GRAFT_METRICS_BY_TEAM === 'true',
    artifactsUrl: filled.ARTIFACTS_URL,
    s3Endpoint: filled.GRAFT_S3_ENDPOINT,
    adapterRetentionDays: Number(filled.GRAFT_ADAPTER_RETENTION_DAYS),
    storageCacheBytes: Number(filled.GRAFT_STORAGE_CACHE_BYTES),
    logLevel: filled.LOG_LEVEL,
  };
}

/** Secrets that Graft did not make, and that others than this file read. */
const ofOthers = [
  'PGPASSWORD',
  'HF_TOKEN',
  'GRAFT_OIDC_CLIENT_SECRET',
  'GRAFT_AUDIT_SINK_TOKEN',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
] as const;

/** What is wrong with the secrets among them. An old version of a ring may be a placeholder: it is there to be replaced. */
function secretFaults(filled: Static<typeof EnvSchema>, env: NodeJS.ProcessEnv): string[] {
  const faults: string[] = [];
  const check = (name: string, isFaulty: boolean) => {
    if (isFaulty) faults.push(`${name} is a placeholder: make a secret with openssl rand -hex 32`);
  };
  for (const name of ['GRAFT_PEPPER', 'GRAFT_SEALING_KEY'] as const) {
    const text = filled[name];
    if (text === undefined || text.length < 16) continue;
    const ring = parseRing(text);
    if (ring) check(name, isPlaceholder(ring[0]!.secret));
    else
      faults.push(
        `${name} must be a secret, or versions of it such as 2:secret,1:secret, of 16 characters or more each and without a comma in them`,
      );
  }
  for (const name of ['GRAFT_INTERNAL_TOKEN', 'GRAFT_METRICS_TOKEN'] as const) {
    const text = filled[name];
    if (text !== undefined && text.length >= 16) check(name, isPlaceholder(text));
  }
  const key = parseApiKey(filled.GRAFT_BOOTSTRAP_KEY ?? '');
  if (key) check('GRAFT_BOOTSTRAP_KEY', isPlaceholder(key.secret));
  for (const name of ['DATABASE_URL', 'GRAFT_MIGRATION_DATABASE_URL', 'REDIS_URL'] as const) {
    if (hasExamplePassword(filled[name] ?? ''))
      faults.push(`${name} has a placeholder as its password: set the real one`);
  }
  for (const name of ofOthers) {
    if (isExample(env[name] ?? '')) faults.push(`${name} is a placeholder: set the real one`);
  }
  return faults;
}

function listIn(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean);
}
