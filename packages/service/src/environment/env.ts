import { isLoopback } from '../channel/worker-proof.ts';
import { isAllowEntry, isWholeEntry } from '../egress/address-rules.ts';
import { parseApiKey } from '../secrets/api-key.ts';
import { hasExamplePassword, isExample, isPlaceholder } from '../secrets/placeholder.ts';
import { parseRing } from '../secrets/secret-ring.ts';
import type { SecretSettings } from '../secrets/secrets.ts';
import { type ReadSetting, type SettingValue, settingReader } from '../settings/read-settings.ts';
import { auditSinkFault } from './audit-sink-fault.ts';
import { cacheFolder } from './cache-folder.ts';
import { readSecretFiles } from './secret-files.ts';
import { isSourceEntry } from './source-entry.ts';

/** Settings of API, worker and admin commands, parsed once at startup. */
/** Limits of a team that an operator creates; null: none. */
export interface NewTeamQuota {
  storedBytes: number | null;
  files: number | null;
  adapters: number | null;
  exports: number | null;
}

export interface ServiceEnv extends SecretSettings {
  port: number;
  host: string;
  /** Absolute; shared by every Graft of this user. */
  cacheDir: string;
  /** Undefined: the embedded Postgres under `dataDir`. */
  databaseUrl: string | undefined;
  /** URL of the same database with a login that owns its tables. Undefined: `databaseUrl` has one. */
  migrationDatabaseUrl: string | undefined;
  /** Undefined: the queue is in Postgres. */
  redisUrl: string | undefined;
  bootstrapKey: string | undefined;
  /** Address on which a worker's internal server listens. */
  workerHost: string;
  /** 0: any free port. */
  workerPort: number;
  /** URL at which the API reaches the worker, if it is not `http://workerHost:workerPort`. */
  workerUrl: string | undefined;
  leaseSeconds: number;
  heartbeatSeconds: number;
  sweepSeconds: number;
  /** Seconds for which a team waits without a running job until a longer job of another team is preempted; 0: never. */
  preemptSeconds: number;
  /** Files that one API process validates concurrently; undefined: as many as its memory allows. */
  validationThreads: number | undefined;
  /** Bytes that one API process may use; undefined: see `planThreads`. */
  apiMemoryBytes: number | undefined;
  /** The operator's JSON file of additional base models. Absolute. */
  baseModelsFile: string | undefined;
  /** Globs of Hub ids that may be used as base models. */
  hubAllow: string[];
  /** Ids of bundled models whose terms of use the operator accepts. */
  acceptedTerms: string[];
  /** Globs of Hub ids of data sets that teams may import. */
  hubDataSets: string[];
  /** Sources from which the operator's keys may add base models: `hub:` globs, folders, `s3://` prefixes. */
  baseModelSources: string[];
  /** Internal addresses, ranges and host names to which webhooks may be sent. */
  webhookAllow: string[];
  /** Internal addresses, ranges and host names to which metrics may be sent. */
  integrationAllow: string[];
  /** Internal addresses, ranges and host names to which adapters may be deployed. */
  deployAllow: string[];
  /** Folder that the API shares with runtimes; undefined: no deploy targets. */
  deployFolder: string | undefined;
  hfEndpoint: string | undefined;
  hfToken: string | undefined;
  /** A worker whose data folder has less free space accepts no jobs. */
  minFreeBytes: number;
  maxUploadBytes: number;
  /** Limits of teams that operators create. The first team, which a start creates, has none. */
  newTeamQuota: NewTeamQuota;
  /** Days for which a deleted adapter version can be restored. */
  adapterRetentionDays: number;
  /** Days after which an export is removed. */
  exportDays: number;
  /** Destination of the audit log export, `https://…` or `file:/…`. Undefined: no export. */
  auditSink: string | undefined;
  auditSinkToken: string | undefined;
  /** Token that grants access to /metrics. Undefined: nobody has access, unless `metricsLoopback` is set. */
  metricsToken: string | undefined;
  /** No proxy on this machine forwards to this process, so local processes may read /metrics without a token. */
  metricsLoopback: boolean;
  /** Whether metrics may contain team names. */
  metricsByTeam: boolean;
  /** `s3://bucket/prefix` of files, artifacts and checkpoints. Undefined: they are under `dataDir`. */
  artifactsUrl: string | undefined;
  /** An S3-compatible server other than AWS. */
  s3Endpoint: string | undefined;
  /** Maximum bytes of a remote store that are cached under `dataDir`. */
  storageCacheBytes: number;
  logLevel: NonNullable<SettingValue<'LOG_LEVEL'>>;
}

/** Reads the environment. Throws one Error that names every invalid variable, never a value. */
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
    redisUrl: withPassword(read('REDIS_URL'), read('REDIS_PASSWORD')),
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
    validationThreads: read('GRAFT_VALIDATION_THREADS'),
    apiMemoryBytes: read('GRAFT_API_MEMORY_MB'),
    baseModelsFile: read('GRAFT_BASE_MODELS'),
    hubAllow: read('GRAFT_HUB_ALLOW'),
    acceptedTerms: read('GRAFT_ACCEPTED_TERMS'),
    hubDataSets: read('GRAFT_HUB_DATA_SETS'),
    baseModelSources: read('GRAFT_BASE_MODEL_SOURCES'),
    webhookAllow: read('GRAFT_WEBHOOK_ALLOW'),
    integrationAllow: read('GRAFT_INTEGRATION_ALLOW'),
    deployAllow: read('GRAFT_DEPLOY_ALLOW'),
    deployFolder: read('GRAFT_DEPLOY_FOLDER'),
    hfEndpoint: read('HF_ENDPOINT'),
    hfToken: read('HF_TOKEN'),
    minFreeBytes: read('GRAFT_MIN_FREE_BYTES'),
    maxUploadBytes: read('GRAFT_MAX_UPLOAD_BYTES'),
    newTeamQuota: {
      storedBytes: read('GRAFT_TEAM_STORED_BYTES') || null,
      files: read('GRAFT_TEAM_FILES') || null,
      adapters: read('GRAFT_TEAM_ADAPTERS') || null,
      exports: read('GRAFT_TEAM_EXPORTS') || null,
    },
    auditSink: read('GRAFT_AUDIT_SINK'),
    auditSinkToken: read('GRAFT_AUDIT_SINK_TOKEN'),
    metricsToken: read('GRAFT_METRICS_TOKEN'),
    metricsLoopback: read('GRAFT_METRICS_LOOPBACK'),
    metricsByTeam: read('GRAFT_METRICS_BY_TEAM'),
    artifactsUrl: read('ARTIFACTS_URL'),
    s3Endpoint: read('GRAFT_S3_ENDPOINT'),
    adapterRetentionDays: read('GRAFT_ADAPTER_RETENTION_DAYS'),
    exportDays: read('GRAFT_EXPORT_DAYS'),
    storageCacheBytes: read('GRAFT_STORAGE_CACHE_BYTES'),
    logLevel: read('LOG_LEVEL'),
  };
  for (const fault of [...combinationFaults(loaded), ...secretFaults(env)]) faults.add(fault);
  check();
  return loaded;
}

/** The URL with the password of another setting, which may hold any character. */
function withPassword(url: string | undefined, password: string | undefined): string | undefined {
  if (url === undefined || password === undefined) return url;
  const whole = new URL(url);
  whole.password = encodeURIComponent(password);
  return whole.href;
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

/** Returns faults in combinations of settings that are valid one by one. */
function combinationFaults(env: ServiceEnv): string[] {
  const faults: string[] = [];
  if (env.migrationDatabaseUrl !== undefined && env.databaseUrl === undefined)
    faults.push('GRAFT_MIGRATION_DATABASE_URL needs DATABASE_URL: the embedded Postgres has its own logins');
  if (env.bootstrapKey !== undefined && !parseApiKey(env.bootstrapKey))
    faults.push(
      'GRAFT_BOOTSTRAP_KEY must have the form graft_<keyid>_<secret>: letters and digits, 8 to 32 and 24 to 64',
    );
  for (const [name, entries] of Object.entries({
    GRAFT_WEBHOOK_ALLOW: env.webhookAllow,
    GRAFT_INTEGRATION_ALLOW: env.integrationAllow,
  })) {
    if (!entries.every(isAllowEntry))
      faults.push(
        `${name} must list addresses, ranges such as 10.1.0.0/16, and host names: host, host:port or team=host:port`,
      );
  }
  const partial = env.deployAllow.find((entry) => !isWholeEntry(entry));
  if (partial !== undefined)
    faults.push(
      `GRAFT_DEPLOY_ALLOW must list team=host:port, and ${partial} has another form: name the team and the port, as in research=10.0.3.7:8000, or with * all of them, as in *=vllm.internal:*`,
    );
  const sinkFault = env.auditSink === undefined ? null : auditSinkFault(env.auditSink);
  if (sinkFault) faults.push(`GRAFT_AUDIT_SINK ${sinkFault}`);
  if (!env.baseModelSources.every(isSourceEntry))
    faults.push(
      'GRAFT_BASE_MODEL_SOURCES must list hub:organisation/glob, absolute folders and s3://bucket/prefix',
    );
  if (!env.hubDataSets.every((entry) => /^[\w.*-]+\/[\w.*-]+$/.test(entry)))
    faults.push('GRAFT_HUB_DATA_SETS must list ids such as organisation/name, organisation/* and */*');
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

/** Secrets that Graft did not generate and that other modules read. */
const foreignVariables = [
  'PGPASSWORD',
  'REDIS_PASSWORD',
  'HF_TOKEN',
  'GRAFT_OIDC_CLIENT_SECRET',
  'GRAFT_AUDIT_SINK_TOKEN',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
] as const;

/** Returns the placeholders among the secrets. An old version in a secret ring may be one: it is there to be replaced. */
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
  for (const name of foreignVariables) {
    if (isExample(env[name] ?? '')) faults.push(`${name} is a placeholder: set the real one`);
  }
  return faults;
}
