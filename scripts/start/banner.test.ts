import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadServiceEnv } from '@graft/service/environment';
import { bannerLines } from './run-programs.ts';

const both = ['api', 'worker'] as const;

test('the first start shows the key and what to type next', () => {
  const env = loadServiceEnv({ PORT: '8010', HOST: '0.0.0.0', GRAFT_DATA_DIR: '/srv/graft' });
  const lines = bannerLines({
    env,
    selected: [...both],
    key: 'graft_a_b',
    embedded: true,
    address: null,
    logFile: '/srv/graft/logs/graft.log',
  });
  assert.ok(lines.includes('Pages  http://127.0.0.1:8010/'));
  assert.ok(lines.includes('API    http://127.0.0.1:8010/v1'));
  assert.equal(lines.at(-2), 'Pages  http://127.0.0.1:8010/');
  assert.equal(lines.at(-1), 'Key    graft_a_b   (shown this once)');
  assert.ok(lines.includes('Log in /srv/graft/logs/graft.log'));
  assert.match(lines.join('\n'), /Nobody reads \/metrics: set GRAFT_METRICS_TOKEN/);
  assert.ok(lines.includes('  export GRAFT_BASE_URL=http://127.0.0.1:8010/v1'));
  assert.ok(lines.includes('  export GRAFT_API_KEY=graft_a_b'));
  assert.ok(lines.includes('Postgres embedded, queue in Postgres, data in /srv/graft'));
});

test('later starts show no key, and the default address needs no variable', () => {
  const env = loadServiceEnv({
    REDIS_URL: 'redis://r',
    GRAFT_METRICS_TOKEN: 'scrapes-3f9a1c77d2',
    GRAFT_BOOTSTRAP_KEY: `graft_abcdefgh_${'s3cret'.repeat(5)}`,
  });
  const text = bannerLines({
    env,
    selected: ['api'],
    key: null,
    embedded: false,
    address: null,
    logFile: null,
  }).join('\n');
  assert.ok(!text.includes('sss') && !text.includes('GRAFT_BASE_URL') && !text.includes('Key '));
  assert.match(text, /Graft API is running/);
  assert.doesNotMatch(text, /metrics/);
  assert.match(text, /Postgres by DATABASE_URL, queue in Redis/);
});

test('a later start says how to replace a lost key', () => {
  const started = { selected: [...both], embedded: true, address: null, logFile: null };
  const env = loadServiceEnv({});
  assert.ok(
    bannerLines({ ...started, env, key: null }).includes('  npx graft admin keys create --team default'),
  );
  assert.doesNotMatch(bannerLines({ ...started, env, key: 'graft_a_b' }).join('\n'), /admin/);
});

test('a worker apart has no address to show', () => {
  const lines = bannerLines({
    env: loadServiceEnv({}),
    selected: ['worker'],
    key: null,
    embedded: true,
    address: 'http://w',
    logFile: null,
  });
  assert.equal(lines[0], 'Graft worker is running.');
  assert.ok(!lines.join().includes('http'));
});
