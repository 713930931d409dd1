import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { loadServiceEnv } from './env.ts';

test('everything has a default, and an empty variable counts as unset', () => {
  const env: object = loadServiceEnv({
    HOME: '/home/me',
    XDG_CACHE_HOME: '/cache',
    DATABASE_URL: '',
    REDIS_URL: '',
    PORT: '',
  });
  const expected = {
    port: 8000,
    host: '127.0.0.1',
    deployAllow: [],
    deployFolder: undefined,
    dataDir: path.resolve('data'),
    cacheDir: '/cache/graft',
    databaseUrl: undefined,
    migrationDatabaseUrl: undefined,
    redisUrl: undefined,
    bootstrapKey: undefined,
    pepper: undefined,
    sealingKey: undefined,
    internalToken: undefined,
    internalTls: undefined,
    artifactsUrl: undefined,
    s3Endpoint: undefined,
    storageCacheBytes: 20 * 2 ** 30,
    adapterRetentionDays: 30,
    workerHost: '127.0.0.1',
    workerPort: 0,
    workerUrl: undefined,
    leaseSeconds: 60,
    exportDays: 7,
    heartbeatSeconds: 10,
    sweepSeconds: 10,
    preemptSeconds: 0,
    validationThreads: undefined,
    apiMemoryBytes: undefined,
    baseModels: undefined,
    hubAllow: [],
    acceptedTerms: [],
    hubDataSets: [],
    baseModelSources: [],
    webhookAllow: [],
    integrationAllow: [],
    hfEndpoint: undefined,
    hfToken: undefined,
    minFreeBytes: 1_073_741_824,
    maxUploadBytes: 536_870_912,
    newTeamQuota: { storedBytes: 100 * 2 ** 30, files: 10_000, adapters: 10_000, exports: 1_000 },
    metricsToken: undefined,
    metricsByTeam: false,
    metricsLoopback: false,
    auditSink: undefined,
    auditSinkToken: undefined,
    internalTlsCert: undefined,
    internalTlsKey: undefined,
    internalTlsCa: undefined,
    maxOpenUploads: 16,
    uploadExpirySeconds: 3600,
    refuseUnfitJobs: true,
    teamStoredBytes: 100 * 2 ** 30,
    teamFiles: 10_000,
    teamAdapters: 10_000,
    teamExports: 1_000,
    logLevel: 'info',
  };
  // Settings that came later need no line here.
  assert.deepEqual({ ...env, ...expected }, env);
});

test('what is set is parsed', () => {
  const env = loadServiceEnv({
    PORT: '9000',
    GRAFT_DATA_DIR: '/srv/graft',
    DATABASE_URL: 'postgresql://me@db/graft',
    REDIS_URL: 'rediss://cache:6380/2',
    GRAFT_LEASE_SECONDS: '5',
    GRAFT_HEARTBEAT_SECONDS: '0.5',
    GRAFT_HUB_ALLOW: ' org/*, HuggingFaceTB/SmolLM2-135M ,',
    GRAFT_BASE_MODELS: 'models.json',
    GRAFT_BOOTSTRAP_KEY: `graft_abcdefgh_${'s3cret'.repeat(6)}`,
    LOG_LEVEL: 'debug',
  });
  assert.deepEqual(env.hubAllow, ['org/*', 'HuggingFaceTB/SmolLM2-135M']);
  assert.deepEqual(
    [env.port, env.dataDir, env.leaseSeconds, env.heartbeatSeconds, env.logLevel, env.baseModels],
    [9000, '/srv/graft', 5, 0.5, 'debug', path.resolve('models.json')],
  );
});

test('every fault is named, by its variable, and no value is shown', () => {
  const secret = 'sesame';
  assert.throws(
    () =>
      loadServiceEnv({
        PORT: '70000',
        DATABASE_URL: `mysql://me:${secret}@db/x`,
        REDIS_URL: secret,
        GRAFT_BOOTSTRAP_KEY: secret,
        GRAFT_PEPPER: secret,
        GRAFT_LEASE_SECONDS: '3',
        GRAFT_HEARTBEAT_SECONDS: '2',
        GRAFT_SWEEP_SECONDS: 'often',
        LOG_LEVEL: 'loud',
      }),
    (error: Error) => {
      for (const name of [
        'PORT',
        'DATABASE_URL',
        'REDIS_URL',
        'GRAFT_BOOTSTRAP_KEY',
        'GRAFT_PEPPER',
        'GRAFT_LEASE_SECONDS',
        'GRAFT_SWEEP_SECONDS',
        'LOG_LEVEL',
      ]) {
        assert.match(error.message, new RegExp(`^ +${name} `, 'm'));
      }
      assert.ok(!error.message.includes(secret));
      return true;
    },
  );
});

test('placeholders are refused by the name of their setting, but as an old version that is to be replaced', () => {
  const settings = ['GRAFT_PEPPER', 'GRAFT_SEALING_KEY', 'GRAFT_INTERNAL_TOKEN', 'GRAFT_METRICS_TOKEN'];
  const values = [
    'CHANGE-ME-CHANGE-ME',
    'xx-change-me-xx-yy',
    'qqqqqqqqqqqqqqqqqq',
    'abababababababab',
    'your-secret-pepper',
  ];
  for (const name of settings) {
    for (const value of [...values, '<16 characters or more>']) {
      assert.throws(
        () => loadServiceEnv({ [name]: value }),
        (error: Error) =>
          error.message.includes(`${name} is a placeholder`) && !error.message.includes(value),
        `${name}=${value}`,
      );
    }
    loadServiceEnv({ [name]: '8f3a0c1d2e4b5a69' });
  }
  assert.throws(
    () => loadServiceEnv({ GRAFT_PEPPER: '2:CHANGE-ME-CHANGE-ME,1:8f3a0c1d2e4b5a69' }),
    /placeholder/,
  );
  loadServiceEnv({ GRAFT_PEPPER: '2:8f3a0c1d2e4b5a69,1:CHANGE-ME-CHANGE-ME' });
  assert.throws(() => loadServiceEnv({ GRAFT_PEPPER: '2:8f3a0c1d2e4b5a69,1:short' }), /GRAFT_PEPPER must be/);
  const urls = {
    DATABASE_URL: 'postgresql://graft:CHANGE-ME@db/graft',
    REDIS_URL: 'redis://:CHANGE%2DME@db',
  };
  for (const [name, url] of Object.entries(urls))
    assert.throws(
      () => loadServiceEnv({ [name]: url }),
      new RegExp(`${name} has a placeholder as its password`),
    );
  for (const password of ['graft', '100%', '%zz', 'p%C3%A4'])
    loadServiceEnv({ DATABASE_URL: `postgresql://graft:${password}@db/graft` });
  assert.throws(() => loadServiceEnv({ AWS_SECRET_ACCESS_KEY: 'CHANGE-ME' }), /AWS_SECRET_ACCESS_KEY is a/);
});

test('a secret in a file is held to the same rules, and one that is not there or set twice is refused', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-secret-files-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const inFile = (name: string, text: string) => {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    return { [`${name}_FILE`]: file };
  };
  const ring = '2:8f3a0c1d2e4b5a69,1:CHANGE-ME-CHANGE-ME';
  const env = loadServiceEnv({
    ...inFile('GRAFT_PEPPER', `${ring}\r\n`),
    ...inFile('GRAFT_SEALING_KEY', '77d2e4b5a698f3a0'),
    ...inFile('GRAFT_METRICS_TOKEN', '\n'),
    ...inFile('GRAFT_AUDIT_SINK_TOKEN', 'sends-2e4b5a698f3a0\n'),
  });
  assert.deepEqual(
    [env.pepper, env.sealingKey, env.metricsToken, env.auditSinkToken],
    [ring, '77d2e4b5a698f3a0', undefined, 'sends-2e4b5a698f3a0'],
  );
  const refused = (given: NodeJS.ProcessEnv, fault: RegExp) =>
    assert.throws(
      () => loadServiceEnv(given),
      ({ message }: Error) => fault.test(message) && !/CHANGE-ME|8f3a0c1d/.test(message),
      String(fault),
    );
  for (const name of ['GRAFT_PEPPER', 'GRAFT_SEALING_KEY']) {
    refused(inFile(name, 'CHANGE-ME-CHANGE-ME\n'), new RegExp(`${name} is a placeholder`));
    refused(inFile(name, '2:8f3a0c1d2e4b5a69,1:short'), new RegExp(`${name} must be a secret, or versions`));
    refused(
      { [`${name}_FILE`]: path.join(folder, 'none') },
      new RegExp(`${name}_FILE cannot be read: ENOENT`),
    );
    refused(
      { ...inFile(name, '8f3a0c1d2e4b5a69'), [name]: '77d2e4b5a698f3a0' },
      /are both set: leave one out/,
    );
  }
  const again: NodeJS.ProcessEnv = inFile('GRAFT_PEPPER', '8f3a0c1d2e4b5a69');
  for (let n = 0; n < 2; n++) assert.equal(loadServiceEnv(again).pepper, '8f3a0c1d2e4b5a69');
});

test('base models are added from Hub globs, folders and prefixes of S3, and from nothing like them', () => {
  const load = (text: string) => loadServiceEnv({ GRAFT_BASE_MODEL_SOURCES: text }).baseModelSources;
  const fine = ['hub:org/*', '/models', 's3://bucket/prefix'];
  assert.deepEqual(load(fine.join(', ')), fine);
  for (const bad of ['org/*', 'models', '/', 's3://', 'hub:org'])
    assert.throws(() => load(bad), /GRAFT_BASE_MODEL_SOURCES must list/, bad);
});

test('what webhooks may reach inside is addresses, ranges and names, and nothing like them', () => {
  const load = (text: string) => loadServiceEnv({ GRAFT_WEBHOOK_ALLOW: text }).webhookAllow;
  const fine = [
    '10.20.0.0/16',
    '127.0.0.1',
    'fd12::/16',
    '::1',
    'hooks.internal',
    'receiver',
    '64:ff9b::/96',
    'x:80',
    '10.20.0.0/16:443',
    '[::1]:80',
    'research=x:80',
    '*=x',
  ];
  assert.deepEqual(load(` ${fine.join(' , ')},`), fine);
  for (const bad of [
    '10.0.0.0/33',
    '10.0.0/8',
    '300.1.1.1',
    '::1/129',
    'https://x',
    'a b',
    '*.internal',
    '/8',
    'x:0',
    'x:65536',
    'a=b=c',
  ]) {
    assert.throws(() => load(`10.0.0.1,${bad}`), /GRAFT_WEBHOOK_ALLOW must list/, bad);
  }
});

test('what deploy targets may reach inside names the team and the port', () => {
  const load = (text: string) => loadServiceEnv({ GRAFT_DEPLOY_ALLOW: text }).deployAllow;
  const fine = ['research=10.0.3.7:8000', 'team-1=[fd12::1]:8000', '*=vllm.internal:*', 'a=10.1.0.0/16:8000'];
  assert.deepEqual(load(fine.join(',')), fine);
  // The last one of these was what earlier versions read.
  for (const bad of ['a=10.0.3.7', '10.0.3.7:8000', 'a=fd12::1:80', 'a=x:', '=x:80', '10.0.0.0/8'])
    assert.throws(
      () => load(`a=x:80,${bad}`),
      (error: Error) =>
        error.message.includes(`GRAFT_DEPLOY_ALLOW must list team=host:port, and ${bad} has another form`),
      bad,
    );
});

test('data sets of the Hub are allowed by organisation and name', () => {
  const load = (text: string) => loadServiceEnv({ GRAFT_HUB_DATA_SETS: text }).hubDataSets;
  assert.deepEqual(load('org/*, */*,a/b-c'), ['org/*', '*/*', 'a/b-c']);
  for (const bad of ['org', '*', 'true', 'hf://datasets/org/*', 'org/name/x'])
    assert.throws(() => load(bad), /GRAFT_HUB_DATA_SETS must list/, bad);
});
