import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openVllmServer, type RuntimeServer } from '@graft/service/testing';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';

const canary = 'canary-of-a-runtime-42';
const route = '/v1/deploy_targets';
let bench: ApiBench;
let admin: Caller;
let otherAdmin: Caller;
let adapter: string;
let vllm: RuntimeServer;
let shared: string;
before(async () => {
  shared = await mkdtemp(path.join(tmpdir(), 'graft-test-deploy-'));
  vllm = await openVllmServer({ apiKey: canary, maxRank: 64 });
  bench = await openApiBench(
    {},
    { GRAFT_DEPLOY_ALLOW: '*=127.0.0.1:*,*=vllm.internal:*', GRAFT_DEPLOY_FOLDER: shared },
  );
  admin = await bench.caller(bench.acme, 'admin');
  otherAdmin = await bench.caller(bench.other, 'admin');
  adapter = (await publishAdapter(bench, admin, 'support')).version.adapterId;
  await publishAdapter(bench, admin, 'support');
});
after(async () => {
  await bench?.close();
  await vllm?.close();
  if (shared) await rm(shared, { recursive: true, force: true });
});

const input = (fields: object = {}) => ({
  name: 'shop',
  runtime: 'vllm',
  url: vllm.url,
  adapter_id: adapter,
  tag: 'production',
  model_name: 'support',
  api_key: canary,
  keep_seconds: 0,
  ...fields,
});
const tag = async (version: number) =>
  await admin.send('POST', `/v1/adapters/${adapter}/tags`, { tag: 'production', version });

test('a target follows the tag, and nobody reads its API key', async () => {
  const made = await admin.send('POST', route, input());
  assert.equal(made.status, 200, made.text);
  assert.match(made.json.id, /^dpt-/);
  assert.deepEqual(
    [made.json.has_api_key, made.json.state, made.json.versioned_names],
    [true, 'waiting', true],
  );
  assert.equal(made.json.folder, path.join(shared, bench.acme.teamId));
  const one = `${route}/${made.json.id}`;
  for (const version of [1, 2]) {
    assert.equal((await tag(version)).status, 200);
    await admin.send('POST', `${one}/retry`);
    const deployed = await until(one, (now) => now.deployed_version === version && now.state === 'deployed');
    assert.equal(deployed.served_model, `support-v${version}`);
  }
  assert.deepEqual([...vllm.loaded.keys()].at(-1), 'support-v2');

  const list = await bench.acme.send('GET', `${route}?adapter_id=${adapter}`);
  assert.deepEqual(
    list.json.data.map(({ id }: { id: string }) => id),
    [made.json.id],
  );
  assert.deepEqual((await bench.acme.send('GET', `${route}?adapter_id=adpt-x`)).json.data, []);
  const { rows } = await bench.services.sql.query(
    `SELECT (SELECT string_agg(d::text, '') FROM deploy_targets d) AS rows,
            (SELECT string_agg(a::text, '') FROM audit_log a WHERE action LIKE 'deploy_target.%') AS audit`,
  );
  assert.ok(!rows[0].rows.includes(Buffer.from(canary).toString('hex')) && !rows[0].rows.includes(canary));
  assert.match(rows[0].audit, /deploy_target\.create/);
  for (const text of [made.text, list.text, rows[0].audit]) assert.ok(!text.includes(canary));

  assert.deepEqual((await admin.send('DELETE', one)).json, {
    id: made.json.id,
    object: 'deploy_target',
    deleted: true,
  });
  assertError(await admin.send('GET', one), 404, 'deploy_target_not_found', 'target_id');
  const files = path.join(shared, bench.acme.teamId, made.json.id);
  for (const end = Date.now() + 20_000; vllm.loaded.size > 0; await sleep(50))
    assert.ok(Date.now() < end, 'not unloaded');
  assert.ok(existsSync(files), 'requests that began before still read them');
});

test("another team's target is unknown, and only an admin for all models may change one", async () => {
  const made = (await admin.send('POST', route, input({ name: 'mine', model_name: 'mine' }))).json;
  const one = `${route}/${made.id}`;
  for (const [method, where, body] of [
    ['GET', one, undefined],
    ['POST', one, { keep_seconds: 1 }],
    ['POST', `${one}/retry`, undefined],
    ['DELETE', one, undefined],
  ] as const)
    assertError(await otherAdmin.send(method, where, body), 404, 'deploy_target_not_found', 'target_id');
  assert.deepEqual((await otherAdmin.send('GET', route)).json.data, []);
  assertError(await otherAdmin.send('POST', route, input()), 404, 'adapter_not_found', 'adapter_id');
  assertError(await bench.acme.send('POST', route, input()), 403, 'insufficient_role');
  assertError(await bench.acme.send('DELETE', one), 403, 'insufficient_role');
  const limited = await bench.caller(bench.acme, 'admin', { models: ['ft:tiny:acme:support:*'] });
  assert.equal((await limited.send('POST', route, input())).status, 403);
  const reads = await bench.caller(bench.acme, 'admin', { scopes: ['deploy:read'] });
  assertError(await reads.send('DELETE', one), 403, 'insufficient_scope');
  assert.equal((await admin.send('DELETE', one)).status, 200);
});

test('what cannot be is refused with its field', async () => {
  const refuses = async (fields: object, code: string, param: string, status = 400) =>
    assertError(await admin.send('POST', route, input(fields)), status, code, param);
  await refuses({ url: 'http://10.0.0.1:8000' }, 'invalid_deploy_target', 'url');
  await refuses({ url: 'https://example.com/?key=1' }, 'invalid_deploy_target', 'url');
  await refuses({ url: 'https://key@example.com/' }, 'invalid_deploy_target', 'url');
  await refuses({ adapter_id: 'adpt-unknown' }, 'adapter_not_found', 'adapter_id', 404);
  for (const fields of [
    { runtime: 'tgi' },
    { folder: 'relative' },
    { tag: 'No' },
    { model_name: '../x' },
    { keep_seconds: -1 },
    { api_key: 'a b' },
    { unknown: 1 },
  ])
    assert.equal((await admin.send('POST', route, input(fields))).status, 400, JSON.stringify(fields));
  const made = (await admin.send('POST', route, input({ name: 'first' }))).json;
  await refuses({ name: 'first', model_name: 'y' }, 'deploy_target_exists', 'name');
  await refuses({ name: 'second', url: `${vllm.url}/v1` }, 'deploy_target_exists', 'model_name');
  const both = await Promise.all(
    [1, 2].map(() => admin.send('POST', route, input({ name: 'x', model_name: 'x' }))),
  );
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 400]);
  const changed = await admin.send('POST', `${route}/${made.id}`, { api_key: 'another', name: 'renamed' });
  assert.deepEqual([changed.json.has_api_key, changed.json.name], [true, 'renamed']);
  const inside = await admin.send('POST', `${route}/${made.id}`, { api_key: null });
  assert.deepEqual([inside.status, inside.json.error?.param], [400, 'api_key']);
  assertError(
    await admin.send('POST', `${route}/${made.id}`, { name: 'x' }),
    400,
    'deploy_target_exists',
    'name',
  );
});

interface Wire {
  deployed_version: number | null;
  served_model: string | null;
  state: string;
}

async function until(where: string, condition: (target: Wire) => boolean): Promise<Wire> {
  for (const end = Date.now() + 20_000; ; await sleep(100)) {
    const { json } = await admin.send('GET', where);
    if (condition(json)) return json;
    assert.ok(Date.now() < end, JSON.stringify(json));
  }
}
