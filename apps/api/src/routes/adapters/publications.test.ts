import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PublishingHub } from '@graft/peft-core/testing/publishing-hub';
import type { AdapterVersion } from '@graft/service/adapters';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../../testing/open-api-bench.ts';
import { storeAdapter } from '../../testing/store-adapter.ts';
import { writeNextExport } from '../../testing/write-export.ts';

const token = 'hf_canary0987654321';
let hub: PublishingHub;
let bench: ApiBench;
let version: AdapterVersion;
let admin: Caller;
const versionPath = ({ adapterId, number }: AdapterVersion) => `/v1/adapters/${adapterId}/versions/${number}`;
const pathOf = (of = version) => `${versionPath(of)}/publications`;
const create = (by: Caller = bench.acme, body: object = { repository: 'org/poet' }) =>
  by.send('POST', pathOf(), body);
const setToken = (by: Caller = admin, secret = token) =>
  by.send('POST', '/v1/integrations/huggingface', { secret });

before(async () => {
  hub = await PublishingHub.start();
  bench = await openApiBench(
    { publications: { pollMs: 20, firstSeconds: 0.05, longestSeconds: 0.1, leaseSeconds: 5 } },
    { GRAFT_INTEGRATION_ALLOW: '127.0.0.1', HF_ENDPOINT: hub.endpoint },
  );
  version = await storeAdapter(bench, bench.acme, 'poet');
  admin = await bench.caller(bench.acme, 'admin');
  const rules = { repositories: ['org', 'other'], public: true };
  assert.equal((await admin.send('POST', '/v1/team/publishing', rules)).status, 200);
});
beforeEach(async () => {
  hub.reset();
  hub.tokens.set(token, ['org']);
  await bench.services.sql.query('DELETE FROM publications');
  assert.equal((await setToken()).status, 200);
});
after(async () => {
  await bench?.close();
  hub?.stop();
});

async function ended(id: string) {
  for (const end = performance.now() + 30_000; performance.now() < end; await sleep(20)) {
    const { json } = await bench.acme.send('GET', `${pathOf()}/${id}`);
    if (json.status === 'succeeded' || json.status === 'failed') return json;
  }
  throw new Error(`${id} has not ended`);
}

describe('publications', () => {
  test('an export is queued, published and listed with its address', async () => {
    const exported = (await bench.acme.send('POST', `${versionPath(version)}/exports`, { format: 'peft' }))
      .json;
    assertError(
      await create(bench.acme, { repository: 'org/poet', export_id: exported.id }),
      400,
      'export_not_ready',
      'export_id',
    );
    await writeNextExport(bench, {
      'adapter_config.json': '{}',
      'adapter_model.safetensors': Buffer.alloc(5_000),
    });
    const made = await create(bench.acme, { repository: 'org/poet', export_id: exported.id });
    assert.match(made.json.id, /^pub-[0-9A-Za-z]{24}$/);
    assert.deepEqual(
      [made.json.object, made.json.status, made.json.format, made.json.public, made.json.url],
      ['adapter.publication', 'queued', 'peft', false, null],
    );
    const done = await ended(made.json.id);
    const [commit] = hub.repositories.get('org/poet')!.commits.slice(1);
    assert.deepEqual([done.status, done.commit, done.changed_files], ['succeeded', commit!.sha, 3]);
    assert.equal(done.url, `${hub.endpoint}/org/poet/commit/${commit!.sha}`);
    assert.deepEqual((await bench.acme.send('GET', pathOf())).json.data, [done]);
    const again = await create(bench.acme, { repository: 'org/poet', export_id: exported.id });
    assert.deepEqual([again.json.id, again.headers.get('idempotent-replayed')], [done.id, 'true']);
    // The same from many requests at once is one publication.
    const many = await Promise.all(
      Array.from({ length: 6 }, () => create(bench.acme, { repository: 'org/many' })),
    );
    assert.equal(new Set(many.map(({ json }) => json.id)).size, 1, many[0]!.text);
    const deleted = await bench.acme.send('DELETE', `${pathOf()}/${done.id}`);
    assert.deepEqual(deleted.json, { id: done.id, object: 'adapter.publication', deleted: true });
    assertError(
      await bench.acme.send('GET', `${pathOf()}/${done.id}`),
      404,
      'publication_not_found',
      'publication_id',
    );
    assert.ok(hub.repositories.has('org/poet'));
  });

  test('names what is wrong with a request', async () => {
    const { acme } = bench;
    assertError(await create(acme, {}), 400, 'missing_required_parameter', 'repository');
    assertError(await create(acme, { repository: 'poet' }), 400, 'invalid_repository', 'repository');
    assertError(await create(acme, { repository: '../x/y' }), 400, 'invalid_repository', 'repository');
    assertError(await create(acme, { repository: 'org/p', token }), 400, 'unknown_parameter', 'token');
    assertError(await create(acme, { repository: 'org/p', public: 'yes' }), 400, 'invalid_value', 'public');
    assertError(
      await create(acme, { repository: 'org/p', export_id: 'exp-none' }),
      404,
      'export_not_found',
      'export_id',
    );
    const missing = pathOf({ ...version, number: 9 });
    assertError(
      await acme.send('POST', missing, { repository: 'org/p' }),
      404,
      'adapter_version_not_found',
      'version',
    );
    const shown = (await setToken()).text + (await admin.send('GET', '/v1/integrations')).text;
    assert.doesNotMatch(shown, new RegExp(token));
    assertError(
      await admin.send('POST', '/v1/integrations/huggingface', { url: 'https://example.com', secret: token }),
      400,
      'invalid_integration',
      'url',
    );
    assertError(await setToken(admin, 'hf token'), 400, 'invalid_value', 'secret');
    await admin.send('DELETE', '/v1/integrations/huggingface');
    assertError(await create(), 400, 'hub_token_missing');
    // A job cannot send metrics there.
    await setToken();
    const training_file = await acme.upload(chatLine);
    const integrations = [{ type: 'huggingface' }];
    const job = await acme.send('POST', '/v1/fine_tuning/jobs', {
      model: 'tiny',
      training_file,
      integrations,
    });
    assert.equal(job.status, 400, job.text);
  });

  test('a public repository needs permission, for it and for each request', async () => {
    hub.repositories.set('org/open', { private: false, commits: [] });
    const refused = await ended((await create(bench.acme, { repository: 'org/open' })).json.id);
    assert.deepEqual([refused.status, refused.error.code], ['failed', 'repository_public']);
    const allowed = await create(bench.acme, { repository: 'org/open', public: true });
    assert.deepEqual([allowed.json.id, allowed.json.status], [refused.id, 'queued']);
    assert.equal((await ended(refused.id)).status, 'succeeded');
  });

  test('another team, a viewer, a limited key, and who may set the token', async () => {
    const { acme, other } = bench;
    const { id } = (await create()).json;
    await ended(id);
    const routes: [method: string, path: string, body?: object][] = [
      ['GET', pathOf()],
      ['POST', pathOf(), { repository: 'org/poet' }],
      ['GET', `${pathOf()}/${id}`],
      ['DELETE', `${pathOf()}/${id}`],
    ];
    const otherAdmin = await bench.caller(other, 'admin');
    await setToken(otherAdmin);
    await otherAdmin.send('POST', '/v1/team/publishing', { repositories: ['org'] });
    for (const [method, path, body] of routes)
      assertError(await other.send(method, path, body), 404, 'adapter_not_found', 'adapter_id');
    // Another team's export, by its own version.
    const exported = (await acme.send('POST', `${versionPath(version)}/exports`, { format: 'peft' })).json;
    const theirs = pathOf(await storeAdapter(bench, other, 'clerk'));
    assertError(
      await other.send('POST', theirs, { repository: 'org/x', export_id: exported.id }),
      404,
      'export_not_found',
      'export_id',
    );
    const viewer = await bench.caller(acme, 'viewer');
    assert.equal((await viewer.send('GET', pathOf())).status, 200);
    assertError(await create(viewer), 403, 'insufficient_role');
    assertError(await setToken(viewer), 403, 'insufficient_role');
    const member = await bench.caller(acme, 'member');
    assert.equal((await create(member)).status, 200);
    assertError(await setToken(member), 403, 'insufficient_role');
    const writer = await bench.caller(acme, 'member', { scopes: ['adapters:write', 'adapters:read'] });
    assertError(await create(writer), 403, 'insufficient_scope');
    const publisher = await bench.caller(acme, 'member', { scopes: ['publications:write'] });
    assert.deepEqual(
      [(await create(publisher)).status, (await create(publisher)).json.repository],
      [202, undefined],
    );
    const limited = await bench.caller(acme, 'member', { models: [version.modelName] });
    assert.equal((await limited.send('GET', pathOf())).status, 200);
    assertError(await create(limited), 403, 'model_not_allowed');
    assertError(await limited.send('DELETE', `${pathOf()}/${id}`), 403, 'model_not_allowed');
  });
});
