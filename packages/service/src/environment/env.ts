import { availableParallelism } from 'node:os';
import { isLoopback } from '../channel/worker-proof.ts';
import { isAllowEntry } from '../egress/address-rules.ts';
import { parseApiKey } from '../secrets/api-key.ts';
import { hasExamplePassword, isExample, isPlaceholder } from '../secrets/placeholder.ts';
import { parseRing } from '../secrets/secret-ring.ts';
import type { SecretSettings } from '../secrets/secrets.ts';
import { type ReadSetting, type SettingValue, settingReader } from '../settings/read-settings.ts';
import { auditSinkFault } from './audit-sink-fault.ts';
import { cacheFolder } from './cache-folder.ts';
import { readSecretFiles } from './secret-files.ts';
import { isSourceEntry } from './source-entry.ts';

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
  logLevel: NonNullable<SettingValue<'LOG_LEVEL'>>;
}

/** Reads the environment. Throws one Error that names every faulty variable, never a value. */
export function loadServiceEnv(env: NodeJS.ProcessEnv = process.env): ServiceEnv {
  readSecretFiles(env);
  const { read, faults, check } = settingReader(env);
  const loaded: ServiceEnv = {
    port: read('PORT'),
    host: read('HOST'),
    dataDir: read('GRAFT_DATA_DIR'),
    cacheDir: cacheFolder(env),
    databaseUrl: read('DATABASE_URL'),
    migrationDatabaseUrl: read('GRAFT_MIGRATION_DATABASE_URL'),
    redisUrl: read('REDIS_URL'),
    bootstrapKey: read('GRAFT_BOOTSTRAP_KEY'),
    pepper: read('GRAFT_PEPPER'),
    sealingKey: read('GRAFT_SEALING_KEY'),
    internalToken: read('GRAFT_INTERNAL_TOKEN'),
    internalTls: readInternalTls(read, faults),
    workerHost: read('GRAFT_WORKER_HOST'),
    workerPort: read('GRAFT_WORKER_PORT'),
    workerUrl: read('GRAFT_WORKER_URL'),
    leaseSeconds: read('GRAFT_LEASE_SECONDS'),
    heartbeatSeconds: read('GRAFT_HEARTBEAT_SECONDS'),
    sweepSeconds: read('GRAFT_SWEEP_SECONDS'),
    preemptSeconds: read('GRAFT_PREEMPT_SECONDS'),
    // Two even on one core: the last one is for a team that has no other, so that no team waits for another's large files.
    validationThreads: read('GRAFT_VALIDATION_THREADS') ?? Math.max(2, availableParallelism() - 1),
    baseModelsFile: read('GRAFT_BASE_MODELS'),
    hubAllow: read('GRAFT_HUB_ALLOW'),
    baseModelSources: read('GRAFT_BASE_MODEL_SOURCES'),
    webhookAllow: read('GRAFT_WEBHOOK_ALLOW'),
    integrationAllow: read('GRAFT_INTEGRATION_ALLOW'),
    hfEndpoint: read('HF_ENDPOINT'),
    hfToken: read('HF_TOKEN'),
    minFreeBytes: read('GRAFT_MIN_FREE_BYTES'),
    maxUploadBytes: read('GRAFT_MAX_UPLOAD_BYTES'),
    auditSink: read('GRAFT_AUDIT_SINK'),
    auditSinkToken: read('GRAFT_AUDIT_SINK_TOKEN'),
    metricsToken: read('GRAFT_METRICS_TOKEN'),
    metricsLoopback: read('GRAFT_METRICS_LOOPBACK'),
    metricsByTeam: read('GRAFT_METRICS_BY_TEAM'),
    artifactsUrl: read('ARTIFACTS_URL'),
    s3Endpoint: read('GRAFT_S3_ENDPOINT'),
    adapterRetentionDays: read('GRAFT_ADAPTER_RETENTION_DAYS'),
    storageCacheBytes: read('GRAFT_STORAGE_CACHE_BYTES'),
    logLevel: read('LOG_LEVEL'),
  };
  for (const fault of [...combinationFaults(loaded), ...secretFaults(env)]) faults.add(fault);
  check();
  return loaded;
}

function readInternalTls(read: ReadSetting, faults: Set<string>): ServiceEnv['internalTls'] {
  const [cert, key, ca] = [
    read('GRAFT_INTERNAL_TLS_CERT'),
    read('GRAFT_INTERNAL_TLS_KEY'),
    read('GRAFT_INTERNAL_TLS_CA'),
  ];
  if (cert && key && ca) return { cert, key, ca };
  if (cert || key || ca)
    faults.add(
      'GRAFT_INTERNAL_TLS_CERT, GRAFT_INTERNAL_TLS_KEY and GRAFT_INTERNAL_TLS_CA must be set together',
    );
  return undefined;
}

/** Faults that the form of a single setting does not show. */
function combinationFaults(env: ServiceEnv): string[] {
  const faults: string[] = [];
  if (env.migrationDatabaseUrl !== undefined && env.databaseUrl === undefined)
    faults.push(
      'GRAFT_MIGRATION_DATABASE_URL needs DATABASE_URL: the embedded Postgres has logins of its own',
    );
  if (env.bootstrapKey !== undefined && !parseApiKey(env.bootstrapKey))
    faults.push(
      'GRAFT_BOOTSTRAP_KEY must have the form graft_<keyid>_<secret>: letters and digits, 8 to 32 and 24 to 64',
    );
  for (const [name, entries] of Object.entries({
    GRAFT_WEBHOOK_ALLOW: env.webhookAllow,
    GRAFT_INTEGRATION_ALLOW: env.integrationAllow,
  })) {
    if (!entries.every(isAllowEntry))
      faults.push(`${name} must list addresses, ranges such as 10.1.0.0/16, and host names`);
  }
  const sinkFault = env.auditSink === undefined ? null : auditSinkFault(env.auditSink);
  if (sinkFault) faults.push(`GRAFT_AUDIT_SINK ${sinkFault}`);
  if (!env.baseModelSources.every(isSourceEntry))
    faults.push(
      'GRAFT_BASE_MODEL_SOURCES must list hub:organisation/glob, absolute folders and s3://bucket/prefix',
    );
  if (env.workerUrl?.startsWith('http:') && (env.internalTls || !isLoopback(env.workerUrl)))
    faults.push(
      'GRAFT_WORKER_URL must begin with https://, unless it is of this machine and GRAFT_INTERNAL_TLS_CERT is not set',
    );
  if (env.heartbeatSeconds <= 0) faults.push('GRAFT_HEARTBEAT_SECONDS must be greater than 0');
  // One lost heartbeat must not lose the lease.
  if (env.leaseSeconds < 2 * env.heartbeatSeconds)
    faults.push('GRAFT_LEASE_SECONDS must be at least twice GRAFT_HEARTBEAT_SECONDS');
  if (env.sweepSeconds <= 0) faults.push('GRAFT_SWEEP_SECONDS must be greater than 0');
  return faults;
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
function secretFaults(env: NodeJS.ProcessEnv): string[] {
  const faults: string[] = [];
  const check = (name: string, isFaulty: boolean) => {
    if (isFaulty) faults.push(`${name} is a placeholder: make a secret with openssl rand -hex 32`);
  };
  for (const name of ['GRAFT_PEPPER', 'GRAFT_SEALING_KEY'] as const) {
    const text = env[name];
    if (!text || text.length < 16) continue;
    const ring = parseRing(text);
    if (ring) check(name, isPlaceholder(ring[0]!.secret));
    else
      faults.push(
        `${name} must be a secret, or versions of it such as 2:secret,1:secret, of 16 characters or more each and without a comma in them`,
      );
  }
  for (const name of ['GRAFT_INTERNAL_TOKEN', 'GRAFT_METRICS_TOKEN'] as const) {
    const text = env[name];
    if (text && text.length >= 16) check(name, isPlaceholder(text));
  }
  const key = parseApiKey(env.GRAFT_BOOTSTRAP_KEY ?? '');
  if (key) check('GRAFT_BOOTSTRAP_KEY', isPlaceholder(key.secret));
  for (const name of ['DATABASE_URL', 'GRAFT_MIGRATION_DATABASE_URL', 'REDIS_URL'] as const) {
    if (hasExamplePassword(env[name] ?? ''))
      faults.push(`${name} has a placeholder as its password: set the real one`);
  }
  for (const name of ofOthers) {
    if (isExample(env[name] ?? '')) faults.push(`${name} is a placeholder: set the real one`);
  }
  return faults;
}
