/** Checks of the container files that need no container engine: they parse, and the files that they reference exist. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { loadServiceEnv, planFault, planThreads } from '@graft/service/environment';
import { createTestDatabase } from '@graft/service/testing';
import pg from 'pg';
import { connectRedis } from '../../packages/service/src/queue/connect-redis.ts';
import { propertyOf } from '../../packages/service/src/settings/read-settings.ts';
import { type SettingName, settings } from '../../packages/service/src/settings/sections.ts';
import type { Setting } from '../../packages/service/src/settings/setting.ts';
import { freePort } from '../../packages/service/src/testing/free-port.ts';
import { outsideCompose } from '../../scripts/configuration/render-settings.ts';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { dockerCompose } from '../../scripts/tools/fetch-tool.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

const unset = { apiMemoryBytes: undefined, validationThreads: undefined };

type Service = {
  image?: string;
  build?: { context: string; dockerfile: string; target: string };
  environment: Record<string, string>;
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
  profiles?: string[];
  volumes?: string[];
  user?: string;
  cap_drop?: string[];
  cap_add?: string[];
  security_opt?: string[];
};

const toJson = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))';
const compose: { services: Record<string, Service>; volumes: Record<string, unknown> } = JSON.parse(
  execFileSync(await pythonEnvironment(), ['-c', toJson, join(root, 'docker-compose.yml')], {
    encoding: 'utf8',
  }),
);

test('docker-compose.yml has all that Graft needs and may have, each with a health check', () => {
  assert.deepEqual(Object.keys(compose.services).sort(), [
    'api',
    'grafana',
    'migrate',
    'postgres',
    'prometheus',
    'redis',
    's3',
    'worker',
    'worker-gpu',
  ]);
  for (const [name, service] of Object.entries(compose.services)) {
    // `migrate` ends before the other services start.
    assert.ok(service.healthcheck || name === 'migrate', `${name} has no health check`);
    for (const volume of service.volumes ?? []) {
      // Folders of the host.
      if (volume.includes(':/models:') || volume.endsWith(':/deployed')) continue;
      if (volume.startsWith('./')) {
        assert.ok(existsSync(join(root, volume.split(':')[0]!)), `${name}: ${volume} is not there`);
        continue;
      }
      assert.ok(volume.split(':')[0]! in compose.volumes, `${name}: ${volume} is not declared`);
    }
    for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
      const isRun = condition === 'service_completed_successfully';
      assert.ok(isRun || compose.services[needed]?.healthcheck, `${name} waits for ${needed}`);
    }
    if (!service.build) continue;
    const { context, dockerfile, target } = service.build;
    const stages = read(join(context, dockerfile)).matchAll(/^FROM \S+ AS (\S+)$/gm);
    assert.ok(
      [...stages].some(([, stage]) => stage === target),
      `${name}: no stage ${target}`,
    );
  }
  assert.deepEqual(compose.services['worker-gpu']?.profiles, ['gpu']);
  assert.equal(compose.services.worker?.profiles, undefined);
  for (const name of ['prometheus', 'grafana']) assert.deepEqual(compose.services[name]?.profiles, ['seen']);
  assert.deepEqual(compose.services.s3?.profiles, ['s3']);
});

/** The configuration that docker compose resolves from the file. */
function resolved(env: Record<string, string>): { code: number | null; stderr: string; json: string } {
  const ran = spawnSync(
    dockerCompose(),
    ['-f', join(root, 'docker-compose.yml'), '--profile', '*', 'config', '--format', 'json'],
    {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: process.env.HOME, COMPOSE_DISABLE_ENV_FILE: '1', ...env },
    },
  );
  return { code: ran.status, stderr: ran.stderr, json: ran.stdout };
}

test('docker compose takes the file, with every profile, and asks for the secrets that it needs', () => {
  const secrets = {
    POSTGRES_PASSWORD: 'p',
    REDIS_PASSWORD: 'o',
    GRAFT_PEPPER: 'q'.repeat(16),
    GRAFT_INTERNAL_TOKEN: 'r'.repeat(16),
  };
  const whole = resolved({ ...secrets, GRAFT_METRICS_TOKEN: 's'.repeat(16), PORT: '8123' });
  assert.equal(whole.code, 0, whole.stderr);
  const { services } = JSON.parse(whole.json);
  assert.deepEqual([services.api.ports[0].host_ip, services.api.ports[0].published], ['127.0.0.1', '8123']);
  assert.equal(services.worker.environment.GRAFT_METRICS_TOKEN, 's'.repeat(16));
  assert.equal(services['worker-gpu'].build.args.TENSORFLOW, 'gpu');
  assert.deepEqual(services.prometheus.secrets, [
    { source: 'graft_metrics_token', target: '/run/secrets/graft_metrics_token' },
  ]);
  // A worker needs GRAFT_DRAIN_SECONDS, and time for its last writes.
  assert.ok(Number(/^(\d+)m?/.exec(services.worker.stop_grace_period)![1]) > 0);
  for (const name of Object.keys(secrets)) {
    const without = resolved({ ...secrets, [name]: '' });
    assert.notEqual(without.code, 0, name);
    assert.match(without.stderr, new RegExp(`set ${name}`));
  }
});

test('a worker has the rights to start trainers as other users, and no others', () => {
  for (const name of ['worker', 'worker-gpu']) {
    const { user, cap_drop, cap_add, security_opt, environment } = compose.services[name]!;
    assert.deepEqual(
      [user, cap_drop, cap_add, security_opt],
      ['0:0', ['ALL'], ['CHOWN', 'DAC_OVERRIDE', 'KILL', 'SETGID', 'SETUID'], ['no-new-privileges:true']],
    );
    assert.match(environment.GRAFT_TRAINER_USER!, /:-10001-10064\}$/);
  }
  // The worker keeps the capabilities that its container is given.
  const [, kept] = /capabilities='-all,(.+)'/.exec(read('docker/start-worker.sh'))!;
  const names = kept!.split(',').map((name) => name.slice(1).toUpperCase());
  assert.deepEqual(names, compose.services.worker!.cap_add);
  assert.match(read('docker/Dockerfile'), /AS api[\s\S]+^USER node$[\s\S]+AS worker[\s\S]+start-worker\.sh/m);
});

test('a worker gets neither the keys of the API nor the login of the tables’ owner, and secrets lie in files', () => {
  const whole = resolved({
    POSTGRES_PASSWORD: 'canary-owner',
    REDIS_PASSWORD: 'canary-redis',
    GRAFT_PEPPER: 'canary-pepper-of-16',
    GRAFT_SEALING_KEY: 'canary-sealing-16',
    GRAFT_OIDC_CLIENT_SECRET: 'canary-oidc',
    GRAFT_BOOTSTRAP_KEY: 'canary-key',
    GRAFT_INTERNAL_TOKEN: 'canary-internal-16',
  });
  const { services } = JSON.parse(whole.json);
  for (const name of ['worker', 'worker-gpu']) {
    assert.doesNotMatch(JSON.stringify(services[name]), /canary|pepper|api-login/, name);
    assert.match(services[name].environment.DATABASE_URL, /\/\/graft_worker@/);
  }
  assert.match(services.api.environment.DATABASE_URL, /\/\/graft_app@/);
  assert.doesNotMatch(JSON.stringify(services.api), /canary-(?:owner|pepper|internal|redis)|worker-login/);
  for (const { uid, mode } of [...services.api.secrets, ...services.worker.secrets])
    assert.deepEqual([uid, mode], ['1000', 0o400]);
  assert.doesNotMatch(JSON.stringify(services.redis), /canary/);
});

test('every service has limits, and no rights or addresses but those that it needs', () => {
  const secrets = {
    POSTGRES_PASSWORD: 'p',
    REDIS_PASSWORD: 'o',
    GRAFT_PEPPER: 'q'.repeat(16),
    GRAFT_INTERNAL_TOKEN: 'r'.repeat(16),
  };
  const needed: Record<string, string[]> = {
    migrate: ['CHOWN', 'DAC_OVERRIDE'],
    worker: ['CHOWN', 'DAC_OVERRIDE', 'KILL', 'SETGID', 'SETUID'],
    'worker-gpu': ['CHOWN', 'DAC_OVERRIDE', 'KILL', 'SETGID', 'SETUID'],
  };
  const { services } = JSON.parse(resolved(secrets).json);
  for (const [name, service] of Object.entries<Record<string, unknown>>(services)) {
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.deepEqual(service.cap_add ?? [], needed[name] ?? [], name);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
    assert.ok(Number(service.mem_limit) > 0 && Number(service.pids_limit) > 0, name);
    assert.ok(service.cpus || service.cpu_shares, name);
    for (const { host_ip } of (service.ports ?? []) as { host_ip: string }[])
      assert.equal(host_ip, '127.0.0.1', name);
  }
  for (const name of ['postgres', 'redis', 'prometheus', 'grafana'])
    assert.equal(services[name].read_only, true, name);
  // The API's threads fit, by default and with the setting.
  const limitOf = (env: Record<string, string>) =>
    Number(JSON.parse(resolved({ ...secrets, ...env }).json).services.api.mem_limit);
  assert.equal(planFault(planThreads(unset, limitOf({}))), null);
  assert.ok(limitOf({ GRAFT_API_MEMORY_MB: '9000' }) >= 9000 * 1e6);
});

const missingRedis = spawnSync('redis-server', ['--version']).error ? 'redis-server is not installed' : false;

test('Redis starts with its password, which may hold anything, and API and workers connect with it', {
  skip: missingRedis,
}, async () => {
  const password = 'p@ss:w/o?r#d %40&"\\\'$x';
  const { json } = resolved({
    POSTGRES_PASSWORD: 'p',
    REDIS_PASSWORD: password,
    GRAFT_PEPPER: 'q'.repeat(16),
    GRAFT_INTERNAL_TOKEN: 'r'.repeat(16),
  });
  const { redis, api, worker } = JSON.parse(json).services;
  const folder = mkdtempSync(join(tmpdir(), 'graft-redis-'));
  const file = join(folder, 'password');
  writeFileSync(file, password);
  const port = await freePort();
  // As in the container, but for the folder, the port and the place of the secret.
  const here = (text: string) =>
    text
      .replaceAll('$$', '$')
      .replaceAll('/run/secrets/redis_password', file)
      .replace('redis-server', `redis-server --dir ${folder} --port ${port}`)
      .replace('redis-cli', `redis-cli -p ${port}`);
  const [shell, ...args] = redis.command.map(here);
  const server = spawn(shell, args, { stdio: 'ignore' });
  try {
    const healthy = (found: string) => {
      writeFileSync(file, found);
      return spawnSync('sh', ['-c', here(redis.healthcheck.test[1])]).status === 0;
    };
    for (let tries = 0; tries < 100 && !healthy(password); tries++) await sleep(100);
    assert.ok(healthy(password));
    assert.ok(!healthy('another'));
    assert.doesNotMatch(readFileSync(`/proc/${server.pid}/cmdline`, 'utf8'), /p@ss/);
    for (const { environment, secrets } of [api, worker]) {
      assert.ok(secrets.some(({ source }: { source: string }) => source === 'redis_password'));
      assert.equal(environment.REDIS_PASSWORD_FILE, '/run/secrets/redis_password');
      const { redisUrl } = loadServiceEnv({
        REDIS_URL: environment.REDIS_URL.replace('redis:6379', `127.0.0.1:${port}`),
        REDIS_PASSWORD: password,
      });
      const client = connectRedis(redisUrl!, () => {});
      await once(client, 'ready');
      assert.equal(await client.set('key', 'value'), 'OK');
      client.disconnect();
    }
  } finally {
    server.kill();
    await once(server, 'exit');
    rmSync(folder, { recursive: true });
  }
});

test('images are built on the newest Node with long support', () => {
  assert.match(read('docker/Dockerfile'), /^ARG NODE_IMAGE=node:24\./m);
});

test('operators of containers can add base models: folders, and ids of the Hub', () => {
  for (const service of [compose.services.api, compose.services.worker, compose.services['worker-gpu']]) {
    assert.ok(service?.volumes?.some((volume) => /^\$\{GRAFT_MODELS_DIR:-[^}]+\}:\/models:ro$/.test(volume)));
    for (const name of ['GRAFT_BASE_MODELS', 'GRAFT_HUB_ALLOW', 'HF_ENDPOINT', 'HF_TOKEN'])
      assert.equal(service?.environment[name], `\${${name}:-}`);
  }
});

test('the API has a folder that runtimes of deploy targets can mount, and workers have not', () => {
  const has = (service: string) =>
    compose.services[service]!.volumes!.some((volume) =>
      /^\$\{GRAFT_DEPLOYED_DIR:-[^}]+\}:\/deployed$/.test(volume),
    );
  assert.deepEqual(['api', 'worker', 'worker-gpu'].map(has), [true, false, false]);
});

test('docker-compose.yml passes to API and workers every setting that they read, and to neither a secret of the other', () => {
  const left = new Set(Object.values(outsideCompose).flat());
  for (const name of left) assert.ok(name in settings, name);
  const images = read('docker/Dockerfile');
  for (const name of [...outsideCompose['what the images or the file set'], 'GRAFT_LOG'])
    assert.match(images, new RegExp(`^ENV .*\\b${name}=`, 'm'));
  for (const service of ['api', 'worker', 'worker-gpu']) {
    const reader = service === 'api' ? 'api' : 'worker';
    const passed = compose.services[service]!.environment;
    const missing = Object.entries<Setting>(settings)
      .filter(([name, { readBy }]) => readBy.includes(reader) && !left.has(name) && !(name in passed))
      .map(([name]) => name);
    assert.deepEqual(missing, [], service);
    for (const [name, value] of Object.entries(passed)) {
      const setting: Setting | undefined = settings[name.replace(/_FILE$/, '') as SettingName];
      assert.ok(setting, name);
      assert.ok(!setting.secret || setting.readBy.includes(reader), `${service} needs no ${name}`);
      if (value.startsWith('${'))
        assert.ok(value.startsWith(`\${${name}:`) || name === 'PGPASSWORD', `${name}: ${value}`);
    }
  }
});

test('workers share one setting of their address, so none is named: each gives the name of its container', () => {
  for (const service of ['worker', 'worker-gpu'])
    assert.equal(compose.services[service]!.environment.GRAFT_WORKER_URL, undefined);
  assert.match(read('docker/Dockerfile'), /GRAFT_WORKER_HOST=0\.0\.0\.0/);
});

test('a password of Postgres may hold anything: containers connect with it', async () => {
  const password = 'p@ss:w/o?r#d %40&';
  const settings = {
    REDIS_PASSWORD: 'o',
    GRAFT_PEPPER: 'q'.repeat(16),
    GRAFT_INTERNAL_TOKEN: 'r'.repeat(16),
  };
  const { json } = resolved({ ...settings, POSTGRES_PASSWORD: password });
  const { services } = JSON.parse(json);
  const { DATABASE_URL, PGPASSWORD } = services.migrate.environment;
  assert.equal(services.postgres.environment.POSTGRES_PASSWORD, password);
  const database = await createTestDatabase();
  const owner = new pg.Client({ connectionString: database.url });
  await owner.connect();
  const role = `graft_compose_${process.pid}`;
  try {
    await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD ${pg.escapeLiteral(password)}`);
    const own = new URL(database.url);
    // The same URL, for this server.
    const url = new URL(DATABASE_URL);
    assert.equal(url.password, '');
    Object.assign(url, { host: own.host, pathname: own.pathname, username: role });
    const connect = `
      import pg from 'pg';
      import { connectionOptions } from '${pathToFileURL(join(root, 'packages/service/src/database/connection-options.ts'))}';
      const client = new pg.Client(connectionOptions(process.argv[1], 'test'));
      await client.connect();
      console.log((await client.query('SELECT current_user AS name')).rows[0].name);
      await client.end();`;
    const args = ['--import', 'tsx', '--input-type=module', '--eval', connect, url.href];
    const env = { PATH: process.env.PATH, PGPASSWORD };
    assert.equal(execFileSync(process.execPath, args, { encoding: 'utf8', env, cwd: root }).trim(), role);
  } finally {
    await owner.query(`DROP ROLE IF EXISTS ${role}`);
    await owner.end();
    await database.drop();
  }
});

test('Grafana does not start without a password, and the other services need none', () => {
  const secrets = {
    POSTGRES_PASSWORD: 'p',
    REDIS_PASSWORD: 'o',
    GRAFT_PEPPER: 'q'.repeat(16),
    GRAFT_INTERNAL_TOKEN: 'r'.repeat(16),
  };
  const { code, json, stderr } = resolved(secrets);
  assert.equal(code, 0, stderr);
  const { grafana } = JSON.parse(json).services;
  assert.equal(grafana.environment.GF_SECURITY_ADMIN_PASSWORD, '');
  // As in the container, except for Grafana's program at the end. Compose requires a literal dollar to be doubled.
  const [shell, ...args] = grafana.entrypoint.map((part: string) =>
    part.replaceAll('$$', '$').replace('exec /run.sh', 'echo starts'),
  );
  const start = (password: string) =>
    spawnSync(shell, args, {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, GF_SECURITY_ADMIN_PASSWORD: password },
    });
  assert.deepEqual([start('').status, start('').stderr], [1, 'set GRAFANA_PASSWORD\n']);
  assert.equal(start('a b"c').stdout, 'starts\n');
});

test('every variable that docker-compose.yml reads is a setting', () => {
  const used = [...read('docker-compose.yml').matchAll(/\$\{([A-Z_0-9]+)/g)].map(([, name]) => name!);
  assert.ok(used.includes('POSTGRES_PASSWORD'));
  assert.deepEqual(
    used.filter((name) => !(name in settings)),
    [],
  );
});

test('every variable that the sources read is a setting, and every setting is read', () => {
  // Variables between Graft's processes, and of its tests.
  const inner =
    /^GRAFT_(PARENT_PID|LEASE_FD|GPU_(MEMORY|TOTAL)_BYTES|TEST_(SCRATCH|USAGE|NODE_OPTIONS)|MATRIX(_TABLE|_PART|_CHANGED)?)$/;
  const found = new Set<string>();
  const properties = new Set<string>();
  for (const folder of ['apps', 'packages', 'scripts', 'test/browser']) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!/\.(ts|mjs)$/.test(entry) || /node_modules|generated|testing|\.test\.ts$/.test(entry)) continue;
      if (entry.startsWith('service/src/settings/')) continue;
      const source = read(join(folder, entry));
      const own = source.matchAll(/\b(?:(?:GRAFT|HF)_[A-Z_0-9]*[A-Z]|OTEL_EXPORTER_OTLP_ENDPOINT)\b/g);
      const others = source.matchAll(/\benv\.CXX\b|\bread\('([A-Z_0-9]+)'\)/g);
      for (const [name] of own) if (!inner.test(name)) found.add(name);
      for (const [, name = 'CXX'] of others) found.add(name);
      for (const [, property] of source.matchAll(/\b(?:env|parsed|loaded)\.([a-zA-Z0-9]+)/g))
        properties.add(property!);
      for (const [, names] of source.matchAll(/Pick<\s*ServiceEnv,\s*([^>]*)>/g))
        for (const [, property] of names!.matchAll(/'(\w+)'/g)) properties.add(property!);
    }
  }
  assert.ok(found.has('CXX') && found.has('GRAFT_LEASE_SECONDS') && properties.has('databaseUrl'));
  assert.deepEqual([...found].filter((name) => !(name in settings)).sort(), []);
  const inContainers = read('docker-compose.yml');
  const unread = Object.keys(settings).filter(
    (name) => !found.has(name) && !properties.has(propertyOf(name)) && !inContainers.includes(name),
  );
  assert.deepEqual(unread, []);
});

test('the Dockerfile runs files of this repository', () => {
  const files = [...read('docker/Dockerfile').matchAll(/\b(?:scripts|apps)\/[\w/.-]+\.(?:ts|mjs)\b/g)];
  assert.ok(files.length >= 4);
  for (const [file] of files) assert.ok(existsSync(join(root, file)), file);
});
