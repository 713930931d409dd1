import { isLoopback } from '../channel/worker-proof.ts';
import { isAllowEntry, isWholeEntry } from '../egress/address-rules.ts';
import { hostOf } from '../egress/team-url.ts';
import { parseApiKey } from '../secrets/api-key.ts';
import { hasExamplePassword, isExample, isPlaceholder } from '../secrets/placeholder.ts';
import { parseRing } from '../secrets/secret-ring.ts';
import type { SecretSettings } from '../secrets/secrets.ts';
import type { secretSettings } from '../settings/access.ts';
import { type SettingsOf, settingReader } from '../settings/read-settings.ts';
import { sharedSettings } from '../settings/sections.ts';
import { cacheFolder } from './cache-folder.ts';
import { readSecretFiles } from './secret-files.ts';
import { isSourceEntry } from './source-entry.ts';

/** Limits of a team that an operator creates; null: none. */
export interface NewTeamQuota {
  storedBytes: number | null;
  files: number | null;
  adapters: number | null;
  exports: number | null;
}

/** Settings of API, worker and admin commands, parsed once at startup; packages/service/src/settings/ describes each. */
export interface ServiceEnv extends SettingsOf<typeof sharedSettings>, SecretSettings {
  /** Absolute; shared by every Graft of this user. */
  cacheDir: string;
  /** Limits of teams that operators create. The first team, which a start creates, has none. */
  newTeamQuota: NewTeamQuota;
}

/** Reads the environment. Throws one Error that names every invalid variable, never a value. */
export function loadServiceEnv(env: NodeJS.ProcessEnv = process.env): ServiceEnv {
  readSecretFiles(env);
  const { read, readAll, faults, check } = settingReader(env);
  const parsed = readAll(sharedSettings);
  const loaded: ServiceEnv = {
    ...parsed,
    cacheDir: cacheFolder(env),
    redisUrl: withPassword(parsed.redisUrl, read('REDIS_PASSWORD')),
    internalTls: readInternalTls(parsed, faults),
    newTeamQuota: {
      storedBytes: parsed.teamStoredBytes || null,
      files: parsed.teamFiles || null,
      adapters: parsed.teamAdapters || null,
      exports: parsed.teamExports || null,
    },
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

function readInternalTls(
  { internalTlsCert: cert, internalTlsKey: key, internalTlsCa: ca }: SettingsOf<typeof secretSettings>,
  faults: Set<string>,
): ServiceEnv['internalTls'] {
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

/** Returns what is wrong with a value of GRAFT_AUDIT_SINK; null if it is valid. */
export function auditSinkFault(text: string): string | null {
  const form = 'must be https://host/path or file:/absolute/path';
  if (!URL.canParse(text)) return form;
  const url = new URL(text);
  if (url.username || url.password || url.hash) return 'must hold no user, password or fragment';
  if (url.protocol === 'file:') return url.host === '' && !url.pathname.endsWith('/') ? null : form;
  if (url.protocol === 'https:') return null;
  const isLoopback = /^(?:localhost|127(?:\.\d+){3}|::1)$/.test(hostOf(url));
  return url.protocol === 'http:' && isLoopback ? null : form;
}
