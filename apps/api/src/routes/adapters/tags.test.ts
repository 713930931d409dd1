import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AdapterVersion } from '@graft/service/adapters';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';
import { done, says, startScriptedWorker, token } from '../../testing/scripted-worker.ts';

let bench: ApiBench;
let versions: AdapterVersion[];
let path: string;
before(async () => {
  bench = await openApiBench();
  versions = [];
  for (const suffix of ['poet', 'poet', 'poet'])
    versions.push((await publishAdapter(bench, bench.acme, suffix)).version);
  path = `/v1/adapters/${versions[0]!.adapterId}/tags`;
});
after(async () => await bench?.close());

const move = async (body: object, by: Caller = bench.acme) => await by.send('POST', path, body);
const named = 'ft:tiny:acme:poet:production';

test('a tag is made, called, moved and removed', async () => {
  const made = await move({ tag: 'production', version: 1 });
  assert.equal(made.status, 200, made.text);
  assert.deepEqual([made.json.model, made.json.version, made.json.previous_version], [named, 1, null]);
  const asked: string[] = [];
  const worker = await startScriptedWorker(bench.services, 'worker-tags', (body, response, request) => {
    asked.push(body.adapter.version_id);
    return says(token('Hi'), done())(body, response, request);
  });
  try {
    for (const version of [1, 2]) {
      await move({ tag: 'production', version });
      const prompt = { model: named, prompt: 'a' };
      const said = await bench.acme.send('POST', '/v1/completions', prompt);
      assert.deepEqual([said.status, said.json.model], [200, named], said.text);
      const chat = { model: named, messages: [{ role: 'user', content: 'a' }] };
      assert.equal((await bench.acme.send('POST', '/v1/chat/completions', chat)).json.model, named);
      assertError(await bench.other.send('POST', '/v1/completions', prompt), 404, 'model_not_found');
    }
    assert.deepEqual(
      asked,
      [0, 0, 1, 1].map((i) => versions[i]!.id),
    );
  } finally {
    await worker.close();
  }
  const model = (await bench.acme.send('GET', `/v1/models/${named}`)).json;
  assert.deepEqual([model.id, model.adapter.version], [named, 2]);
  const list = (await bench.acme.send('GET', path)).json;
  assert.deepEqual(
    list.data.map((tag: { tag: string; version: number }) => [tag.tag, tag.version]),
    [['production', 2]],
  );
  const version = (await bench.acme.send('GET', path.replace('/tags', '/versions/2'))).json;
  assert.deepEqual(version.tags, ['production']);

  assertError(await bench.acme.send('DELETE', `/v1/models/${named}`), 400, 'model_not_deletable');
  const removed = await bench.acme.send('DELETE', `${path}/production`);
  assert.deepEqual(removed.json.deleted, true, removed.text);
  assertError(await bench.acme.send('DELETE', `${path}/production`), 404, 'adapter_tag_not_found', 'tag');
  assertError(await bench.acme.send('GET', `/v1/models/${named}`), 404, 'model_not_found');
  const actions = await bench.services.db.auditEntry.findMany({
    where: { target: named },
    orderBy: { id: 'asc' },
  });
  assert.deepEqual(
    actions.map(({ action, detail }) => [action, (detail as { version: number }).version]),
    [
      ['adapter.tag', 1],
      ['adapter.tag', 1],
      ['adapter.tag', 2],
      ['adapter.untag', 2],
    ],
  );
});

test('names that no tag may have, above all those of versions', async () => {
  const own = versions[0]!.modelName.split(':').at(-1)!;
  for (const tag of [
    own,
    own.toLowerCase(),
    'abcdefgh',
    'a1234567',
    'A',
    '1a',
    '-a',
    'a:b',
    'a b',
    'ä',
    'a'.repeat(33),
  ])
    assertError(await move({ tag, version: 1 }), 400, 'invalid_value', 'tag');
  for (const tag of ['', 'x'.repeat(100), 7, null])
    assertError(await move({ tag, version: 1 }), 400, 'invalid_value', 'tag');
  for (const version of [0, 'x', null, 1.5])
    assertError(await move({ tag: 'a', version }), 400, 'invalid_value');
  assertError(await move({ tag: 'a', version: 9 }), 404, 'adapter_version_not_found', 'version');
  assertError(await move({ tag: 'a', version: 1, other: 1 }), 400, 'unknown_parameter', 'other');
  assert.deepEqual((await bench.acme.send('GET', path)).json.data, []);
});

test('of two who move a tag at once with what they expect, one does', async () => {
  assertError(await move({ tag: 'live', version: 1, expected_version: 2 }), 412, 'adapter_tag_moved');
  await move({ tag: 'live', version: 1, expected_version: null });
  assertError(await move({ tag: 'live', version: 2, expected_version: null }), 412, 'adapter_tag_moved');
  const answers = await Promise.all(
    [2, 3, 2, 3, 2, 3].map((version) => move({ tag: 'live', version, expected_version: 1 })),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412, 412, 412, 412, 412]);
});

test('an adapter has at most a hundred tags', async () => {
  const tags = Array.from({ length: 110 }, (_, i) => `t-${i}`);
  const statuses: number[] = [];
  async function mover(): Promise<void> {
    for (let tag = tags.shift(); tag !== undefined; tag = tags.shift()) {
      // On a slow machine some wait too long for the adapter: 503, to be retried.
      let { status } = await move({ tag, version: 3 });
      while (status === 503) ({ status } = await move({ tag, version: 3 }));
      statuses.push(status);
    }
  }
  await Promise.all([mover(), mover(), mover()]);
  const made = statuses.filter((status) => status === 200).length;
  assert.equal(made, 99, 'one is there from before');
  assert.equal((await bench.acme.send('GET', path)).json.data.length, 100);
  assert.equal((await move({ tag: 't-live', version: 3 })).status, 400);
  assert.equal((await move({ tag: 'live', version: 1 })).status, 200, 'those that are there are still moved');
});

test('for members of the team alone', async () => {
  const viewer = await bench.caller(bench.acme, 'viewer');
  assertError(await move({ tag: 'live', version: 2 }, viewer), 403, 'insufficient_role');
  assertError(await viewer.send('DELETE', `${path}/live`), 403, 'insufficient_role');
  assert.equal((await viewer.send('GET', path)).status, 200);
  const { other } = bench;
  const none = path.replace(versions[0]!.adapterId, 'adpt-none');
  for (const [method, tail, body] of [
    ['GET', '', undefined],
    ['POST', '', { tag: 'live', version: 2 }],
    ['DELETE', '/live', undefined],
  ] as const) {
    const foreign = await other.send(method, path + tail, body);
    const unknown = await other.send(method, none + tail, body);
    assertError(foreign, 404, 'adapter_not_found');
    assert.equal(foreign.text.replace(versions[0]!.adapterId, 'adpt-none'), unknown.text);
  }
});
