import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadServiceEnv } from '@graft/service/environment';
import { createApiKey } from '@graft/service/keys';
import { createLogger } from '@graft/service/logger';
import { openServices } from '@graft/service/services';
import { createTeam } from '@graft/service/teams';
import { createTestDatabase, openCuttableProxy } from '@graft/service/testing';
import { buildApp } from '../app.ts';
import { assertError } from '../testing/assert-error.ts';
import { answerOf, chatLine, openApiBench, uploadForm } from '../testing/open-api-bench.ts';

describe('readiness', () => {
  for (const kind of ['postgres', 'redis'] as const) {
    test(`ready with the queue on ${kind}`, {
      skip: kind === 'redis' && !process.env.REDIS_URL,
    }, async () => {
      const bench = await openApiBench({}, kind === 'postgres' ? { REDIS_URL: '' } : {});
      try {
        assert.equal(bench.services.queue.backend, kind);
        const answer = await answerOf(await fetch(`${bench.url}/readyz`));
        assert.deepEqual(answer.json, { status: 'ready', checks: { postgres: 'ok', queue: 'ok' } });
        assert.deepEqual((await answerOf(await fetch(`${bench.url}/healthz`))).json, { status: 'ok' });
      } finally {
        await bench.close();
      }
    });
  }

  test('without its queue the API is ready but degraded, and takes jobs all the same', async () => {
    const bench = await openApiBench({}, { REDIS_URL: 'redis://127.0.0.1:1' });
    try {
      const answer = await answerOf(await fetch(`${bench.url}/readyz`));
      assert.equal(answer.status, 200);
      assert.deepEqual(answer.json, { status: 'degraded', checks: { postgres: 'ok', queue: 'missing' } });
      const training_file = await bench.acme.upload(chatLine);
      const job = await bench.acme.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
      await bench.untilState(job.json.id, 'queued');
    } finally {
      await bench.close();
    }
  });
});

test('Postgres away: 503 with Retry-After on every route, and well again afterwards', async () => {
  const database = await createTestDatabase();
  const proxy = await openCuttableProxy(database.url);
  const dataDir = await mkdtemp(join(tmpdir(), 'graft-away-'));
  const services = await openServices({
    role: 'api',
    defaultScope: 'owner',
    env: loadServiceEnv({ DATABASE_URL: proxy.url, GRAFT_DATA_DIR: dataDir }),
    log: createLogger({ level: 'silent', name: 'test' }),
  });
  const app = await buildApp(services, { checkResponses: true, eventPollMs: 30, streamHeartbeatMs: 100 });
  try {
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const team = await createTeam(services, { name: 'acme' });
    const { key } = await createApiKey(services, team.id, { name: 'x', role: 'member' });
    const headers = { authorization: `Bearer ${key}` };
    const get = async (path: string) => await answerOf(await fetch(url + path, { headers }));
    assert.equal((await get('/v1/files')).status, 200);

    await proxy.cut();
    for (const path of ['/v1/files', '/v1/fine_tuning/jobs', '/v1/models', '/v1/adapters', '/v1/files/x']) {
      const answer = await get(path);
      assertError(answer, 503, 'service_unavailable');
      assert.match(answer.headers.get('retry-after')!, /^\d+$/);
      assert.doesNotMatch(answer.text, /127\.0\.0\.1|ECONN/);
    }
    const ready = await get('/readyz');
    assert.deepEqual([ready.status, ready.json.checks.postgres], [503, 'missing']);
    assert.equal((await get('/healthz')).status, 200);

    await proxy.restore();
    for (let i = 0; i < 50 && (await get('/v1/files')).status !== 200; i++) await sleep(100);
    assert.equal((await get('/v1/files')).status, 200);
    assert.equal((await get('/readyz')).json.checks.postgres, 'ok');

    // Looks like a standby to the API.
    const { pathname } = new URL(database.url);
    await services.sql.query(`ALTER DATABASE "${pathname.slice(1)}" SET default_transaction_read_only = on`);
    await proxy.cut();
    await proxy.restore();
    const upload = async () =>
      await answerOf(
        await fetch(`${url}/v1/files`, { method: 'POST', headers, body: uploadForm(chatLine) }).catch(
          () => new Response(null, { status: 599 }),
        ),
      );
    for (let i = 0; i < 50 && (await get('/readyz')).status !== 503; i++) await sleep(100);
    const readOnly = await get('/readyz');
    assert.deepEqual([readOnly.status, readOnly.json.status], [503, 'not_ready']);
    const refused = await upload();
    assertError(refused, 503, 'service_unavailable');
    assert.ok(refused.headers.has('retry-after'));
  } finally {
    await app.close();
    await services.close();
    await proxy.close();
    await database.drop();
    await rm(dataDir, { recursive: true });
  }
});
