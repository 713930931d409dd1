import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Services } from '@graft/service/services';
import { createTeam } from '@graft/service/teams';
import { openTestServices } from '@graft/service/testing';
import { registerWorker } from '@graft/service/workers';
import { connectDatabase } from '../database/database.ts';
import { instruments, registry } from './instruments.ts';
import { canReadMetrics, renderMetrics } from './serve-metrics.ts';

const token = 'metrics-token-of-sixteen';

describe('who may read the metrics', () => {
  const reads = (
    remoteAddress: string,
    headers: Record<string, string> = {},
    metricsToken?: string,
    httpVersion = '1.1',
    metricsLoopback = true,
  ) =>
    canReadMetrics(
      { headers: { host: 'localhost:8000', ...headers }, remoteAddress, httpVersion },
      { metricsToken, metricsLoopback },
    );

  test('without a token and without word that no proxy leads here: nobody, not even this machine', () => {
    // As nginx with `proxy_http_version 1.1` sends it, for a client on the internet.
    assert.ok(!reads('127.0.0.1', { host: '127.0.0.1:8000', connection: 'close' }, undefined, '1.1', false));
    assert.ok(!reads('::1', {}, undefined, '1.1', false));
    assert.ok(reads('10.0.0.7', { authorization: `Bearer ${token}` }, token, '1.1', false));
  });

  test('without a token, where no proxy leads here: this machine alone, and nothing that a proxy on it passes on', () => {
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '127.9.9.9'])
      assert.ok(reads(address), address);
    for (const address of ['10.0.0.7', '::ffff:10.0.0.7', '203.0.113.127', '', 'fe80::1'])
      assert.ok(!reads(address), address);
    for (const host of ['127.0.0.1:8000', '[::1]:8000', 'localhost'])
      assert.ok(reads('127.0.0.1', { host }), host);
    const scrape = { accept: 'text/plain', 'accept-encoding': 'gzip', 'user-agent': 'Prometheus/3.0' };
    assert.ok(reads('127.0.0.1', { ...scrape, 'x-prometheus-scrape-timeout-seconds': '10' }));
  });

  test('whatever header a proxy adds, a public Host, or HTTP/1.0: not without a token', () => {
    const added =
      'forwarded via x-forwarded-for x-forwarded-host x-forwarded-proto x-real-ip cf-connecting-ip cf-ray true-client-ip x-client-ip x-cluster-client-ip fastly-client-ip fly-client-ip x-original-forwarded-for x-appengine-user-ip x-azure-clientip cdn-loop x-amzn-trace-id x-request-id';
    for (const header of added.split(' ')) assert.ok(!reads('127.0.0.1', { [header]: '127.0.0.1' }), header);
    for (const host of [
      'graft.example.com',
      '127.0.0.1.example.com',
      'localhost.example.com',
      '10.0.0.7',
      '',
    ])
      assert.ok(!reads('127.0.0.1', { host }), host);
    assert.ok(!reads('127.0.0.1', {}, undefined, '1.0'));
  });

  test('with one: a caller who sends it, from anywhere, and no one else', () => {
    assert.ok(reads('10.0.0.7', { authorization: `Bearer ${token}` }, token));
    for (const given of ['', 'Bearer ', `Bearer ${token}x`, `Basic ${token}`, token])
      assert.ok(!reads('127.0.0.1', { authorization: given }, token), given);
  });
});

describe('their content', () => {
  let services: Services;
  let team: string;
  before(async () => {
    services = await openTestServices({ role: 'api' });
    team = (await createTeam(services, { name: 'acme' })).id;
    await insertJobs();
  });
  after(async () => await services.close());

  async function insertJobs() {
    const file = `INSERT INTO files (id, team_id, filename, purpose, bytes, sha256, path, status)
      VALUES ('file-1', $1, 'a', 'fine-tune', 1, 'x', 'y', 'processed')`;
    await services.sql.query(file, [team]);
    const states = ['queued', 'queued', 'validating', 'paused', 'succeeded'];
    for (const [i, state] of states.entries()) {
      await services.sql.query(
        `INSERT INTO jobs (id, team_id, state, model, seed, training_file_id, hyperparameters, peft, training, run_after,
           created_at) VALUES ($1, $2, $3, 'm', 1, 'file-1', '{}', '{}', '{}', now() - interval '90 seconds',
           now() - interval '2 hours')`,
        [`job-${i}`, team, state],
      );
    }
    const worker = { address: null, hostname: 'h', pid: 1 };
    await registerWorker(services, { id: 'w-1', slots: 3, ...worker });
    await registerWorker(services, { id: 'w-2', slots: 5, ...worker });
    await services.sql.query(
      "UPDATE workers SET heartbeat_at = now() - interval '5 minutes' WHERE id = 'w-2'",
    );
  }

  const valuesOf = (body: string, name: string) =>
    Object.fromEntries(
      [...body.matchAll(new RegExp(`^${name}(\\{.*\\})? (.+)$`, 'gm'))].map(([, labels, value]) => [
        labels ?? '',
        Number(value),
      ]),
    );

  test('jobs by state, the longest wait, workers, slots and the pool; no team and no job by name', async () => {
    const { body, contentType } = await renderMetrics(services, 'api');
    assert.match(contentType, /^text\/plain; version=0\.0\.4/);
    assert.deepEqual(valuesOf(body, 'graft_jobs'), {
      '{state="validating"}': 1,
      '{state="queued"}': 2,
      '{state="dispatched"}': 0,
      '{state="running"}': 0,
      '{state="paused"}': 1,
    });
    const waited = valuesOf(body, 'graft_jobs_oldest_queued_seconds')['']!;
    assert.ok(waited >= 90 && waited < 600, String(waited));
    assert.equal(valuesOf(body, 'graft_workers')['{state="ready"}'], 1);
    assert.equal(valuesOf(body, 'graft_workers')['{state="silent"}'], 1);
    assert.deepEqual(valuesOf(body, 'graft_worker_slots'), { '{state="all"}': 3, '{state="in_use"}': 0 });
    assert.deepEqual(valuesOf(body, 'graft_database_up'), { '': 1 });
    assert.deepEqual(valuesOf(body, 'graft_queue_up'), { '': 1 });
    assert.ok('{state="waiting"}' in valuesOf(body, 'graft_pg_pool_connections'));
    assert.ok('' in valuesOf(body, 'nodejs_eventloop_lag_p99_seconds'));
    assert.ok(!body.includes(team) && !body.includes('job-0'));
  });

  test('teams by name only where the operator allows it', async () => {
    const allowing = { ...services, env: { ...services.env, metricsByTeam: true } };
    const { body } = await renderMetrics(allowing, 'api');
    assert.equal(valuesOf(body, 'graft_team_jobs')[`{team="${team}",state="queued"}`], 2);
    assert.ok(!(await renderMetrics(services, 'api')).body.includes(team));
  });

  test('Postgres away: answered in time, reported as down, and nothing stale', async () => {
    const nobody = connectDatabase('postgresql://127.0.0.1:1/none', services.log);
    const away = { ...services, ...nobody };
    const { body } = await renderMetrics(away, 'api');
    assert.deepEqual(valuesOf(body, 'graft_database_up'), { '': 0 });
    assert.deepEqual(valuesOf(body, 'graft_jobs'), {});
    assert.deepEqual(valuesOf(body, 'graft_jobs_oldest_queued_seconds'), {});
    await nobody.sql.end();
  });
});

test('no label can hold an id: each has a name whose values are few', async () => {
  // A GPU is identified by its index within the worker.
  const allowed = new Set([
    ...['method', 'route', 'status', 'state', 'outcome', 'kind', 'loop', 'reason', 'gpu'],
  ]);
  for (const instrument of Object.values(instruments)) {
    const { labelNames } = instrument as unknown as { labelNames: string[] };
    for (const label of labelNames) assert.ok(allowed.has(label), label);
  }
  for (const { name } of await registry.getMetricsAsJSON()) {
    if (!/^(process|nodejs)_/.test(name)) assert.match(name, /^graft_[a-z0-9_]+$/);
  }
});
