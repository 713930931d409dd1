/** What can be held of the container files without a container engine: they parse, and what they name is there. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pythonEnvironment } from '../../scripts/golden/environment.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

type Service = {
  image?: string;
  build?: { context: string; dockerfile: string; target: string };
  environment: Record<string, string>;
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
  profiles?: string[];
  volumes: string[];
};

const toJson = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))';
const compose: { services: Record<string, Service>; volumes: Record<string, unknown> } = JSON.parse(
  execFileSync(await pythonEnvironment(), ['-c', toJson, join(root, 'docker-compose.yml')], {
    encoding: 'utf8',
  }),
);

test('docker-compose.yml has Postgres, Redis, API, worker and a GPU worker, each with a health check', () => {
  assert.deepEqual(Object.keys(compose.services).sort(), [
    'api',
    'postgres',
    'redis',
    'worker',
    'worker-gpu',
  ]);
  for (const [name, service] of Object.entries(compose.services)) {
    assert.ok(service.healthcheck, `${name} has no health check`);
    for (const volume of service.volumes) {
      assert.ok(volume.split(':')[0]! in compose.volumes, `${name}: ${volume} is not declared`);
    }
    for (const needed of Object.keys(service.depends_on ?? {})) {
      assert.ok(compose.services[needed]?.healthcheck, `${name} waits for ${needed}`);
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
});

test('every variable that docker-compose.yml sets is explained in .env.example', () => {
  const explained = read('.env.example');
  for (const service of [compose.services.api, compose.services.worker]) {
    for (const name of Object.keys(service?.environment ?? {})) {
      assert.match(explained, new RegExp(`^# ${name}=`, 'm'));
    }
  }
});

test('the Dockerfile runs files of this repository', () => {
  const files = [...read('docker/Dockerfile').matchAll(/\b(?:scripts|apps)\/[\w/.-]+\.(?:ts|mjs)\b/g)];
  assert.ok(files.length >= 4);
  for (const [file] of files) assert.ok(existsSync(join(root, file)), file);
});
