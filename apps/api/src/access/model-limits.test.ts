/**
 * Requests objects of another model from every route of a team, with a key limited to one model. The routes are those of the OpenAPI
 * document. A route that is neither in `asks` nor in `withoutModels` of testing/model-asks.ts fails, and so does one that accepts the key.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Identity } from '@graft/service/keys';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import Fastify from 'fastify';
import { filesOf, sendAdapter, soundAdapter } from '../testing/adapter-parts.ts';
import { assertError } from '../testing/assert-error.ts';
import {
  apart,
  asks,
  createModelObjects,
  jobs,
  lists,
  type ModelObjects,
  messages,
  withoutModels,
} from '../testing/model-asks.ts';
import {
  type Answer,
  type ApiBench,
  type Caller,
  chatLine,
  openApiBench,
} from '../testing/open-api-bench.ts';
import { publishAdapter } from '../testing/publish-adapter.ts';
import type { TeamAccess } from './access.ts';
import { modelAccess } from './model-access.ts';

let bench: ApiBench;
/** Key for all models. */
let admin: Caller;
/** Key for the models of `poet` only. */
let limited: Caller;
let mine: ModelObjects;
let theirs: ModelObjects;
let file: string;
let routes: Map<string, TeamAccess>;

const limit = ['ft:tiny:acme:poet:*'];

before(async () => {
  bench = await openApiBench({}, { HF_ENDPOINT: 'http://127.0.0.1:9' });
  admin = await bench.caller(bench.acme, 'admin');
  limited = await bench.caller(bench.acme, 'admin', { models: limit });
  file = await admin.upload(chatLine);
  mine = await createModelObjects(bench, admin, { name: 'poet', file });
  theirs = await createModelObjects(bench, admin, { name: 'secretary', file });
  const document = (await (await fetch(`${bench.url}/docs/json`)).json()) as {
    paths: Record<string, Record<string, { 'x-graft-access'?: TeamAccess | string }>>;
  };
  routes = new Map(
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { 'x-graft-access': access }]) =>
        typeof access === 'object' ? [[`${method.toUpperCase()} ${path}`, access] as const] : [],
      ),
    ),
  );
});
after(async () => await bench?.close());

/** All rows that a request could have changed. */
async function stateOf(): Promise<unknown> {
  const tables = [
    'adapters',
    'adapter_versions',
    'adapter_tags',
    'model_aliases',
    'checkpoint_adapters',
    'jobs',
    'teams',
    'webhook_endpoints',
    'integrations',
    'deploy_targets',
  ];
  const rows = tables.map(
    (table) => `SELECT '${table}' AS name, to_jsonb(t) - 'updated_at' AS row FROM ${table} t`,
  );
  // A job that is validating or queued changes by itself.
  const { rows: found } = await bench.services.sql.query(
    `SELECT name, row FROM (${rows.join(' UNION ALL ')}) all_rows
     WHERE name <> 'jobs' OR row->>'state' IN ('running', 'succeeded') ORDER BY 1, row::text`,
  );
  return found;
}

/** The error code of a response; a check of a job returns it among the faults. */
function codeOf({ json, status }: Answer): string | null {
  if (status === 200) return json?.faults?.[0]?.code ?? null;
  return json?.error?.code ?? null;
}

const nameOf = (route: string) => route.split(' ')[0]!;

test('every route that touches models is asked here', () => {
  const known = [...Object.keys(asks), ...lists.map((path) => `GET ${path}`), ...apart];
  const touching = [...routes].filter(([, { models }]) => models !== 'none').map(([route]) => route);
  assert.deepEqual(touching.sort(), known.sort());
  const none = [...routes].filter(([, { models }]) => models === 'none').map(([route]) => route);
  assert.deepEqual(none.sort(), [...withoutModels].sort());
});

test('a limited key is refused on every one of them, and nothing has changed', async () => {
  const before = await stateOf();
  for (const [route, askOf] of Object.entries(asks)) {
    for (const [path, body] of askOf(theirs, { mine, file, name: 'secretary' })) {
      const answer = await limited.send(nameOf(route), path, body);
      const answered = `${route} ${path} ${JSON.stringify(body)}: ${answer.status} ${answer.text.slice(0, 300)}`;
      assert.equal(codeOf(answer), 'model_not_allowed', answered);
      assert.ok(answer.text.includes('limited to ft:tiny:acme:poet:*'), answered);
    }
  }
  assert.deepEqual(await stateOf(), before);
});

test('a form is refused by its fields, wherever they stand, and for its parent', async () => {
  const files = filesOf(await soundAdapter(bench));
  const upload = async (fields: Record<string, string>) => await sendAdapter(limited, files, fields);
  assertError(await upload({ name: 'secretary' }), 403, 'model_not_allowed', 'name');
  assertError(await upload({ name: 'poet', parent: theirs.model }), 403, 'model_not_allowed', 'parent');
  const before = await bench.services.db.adapterVersion.count();
  const form = new FormData();
  for (const [name, content] of files) form.append('file', new Blob([content]), name);
  form.set('name', 'secretary');
  form.set('base_model', 'tiny');
  assertError(await limited.send('POST', '/v1/adapters', form), 403, 'model_not_allowed', 'name');
  assert.equal(await bench.services.db.adapterVersion.count(), before);
  const accepted = await upload({ name: 'poet', parent: mine.model });
  assert.equal(accepted.status, 200, accepted.text);
});

test('lists and streams leave out what is beyond the limit, page by page', async () => {
  const aliases = await limited.send('GET', '/v1/model_aliases');
  assert.deepEqual(
    aliases.json.data.map(({ id }: { id: string }) => id),
    [mine.alias],
  );
  const hidden = ['secretary', theirs.job, theirs.runningJob, theirs.adapter, theirs.version];
  const check = (text: string, answered: string) => {
    for (const word of hidden) assert.ok(!text.includes(word), `${answered} shows ${word}`);
  };
  for (const path of lists) {
    const whole = await limited.send('GET', path);
    assert.equal(whole.status, 200, whole.text);
    check(whole.text, path);
    assert.ok(whole.text.includes('poet'), `${path} shows what is within`);
    const ids: string[] = [];
    for (let last = ''; ; last = `&after=${encodeURIComponent(ids.at(-1)!)}`) {
      const page = (await limited.send('GET', `${path}?limit=1${last}`)).json;
      ids.push(...page.data.map(({ id }: { id: string }) => id));
      if (!page.has_more) break;
    }
    assert.deepEqual(
      ids,
      whole.json.data.map(({ id }: { id: string }) => id),
      path,
    );
  }
  // A list cannot continue after an object beyond the limit either.
  for (const [path, after] of [
    ['/v1/fine_tuning/jobs', theirs.job],
    ['/v1/models', theirs.model],
    ['/v1/adapters', theirs.adapter],
    [`/v1/adapters/${mine.adapter}/versions`, theirs.version],
  ] as const) {
    const answer = await limited.send('GET', `${path}?after=${encodeURIComponent(after)}`);
    assertError(answer, 400, 'invalid_cursor', 'after');
  }
  assert.ok(
    !(await limited.send('GET', '/v1/models')).json.data.some(({ id }: { id: string }) => id === 'tiny'),
  );
  const abort = new AbortController();
  const stream = await fetch(`${bench.url}/v1/fine_tuning/jobs/changes`, {
    headers: { authorization: `Bearer ${limited.key}` },
    signal: abort.signal,
  });
  let text = '';
  for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes(mine.runningJob) && text.includes(': heartbeat')) break;
  }
  abort.abort();
  check(text, 'the stream');
});

test('tools of agents are refused as their routes are', async () => {
  const client = new Client({ name: 'test', version: '1' });
  const requestInit = { headers: { authorization: `Bearer ${limited.key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${bench.url}/v1/mcp`), { requestInit }));
  for (const [name, args] of [
    ['get_fine_tuning_job', { fine_tuning_job_id: theirs.job }],
    ['wait_for_fine_tuning_job', { fine_tuning_job_id: theirs.runningJob, seconds: 1 }],
    ['cancel_fine_tuning_job', { fine_tuning_job_id: theirs.runningJob }],
    ['create_fine_tuning_job', { model: 'tiny', training_file: file }],
    ['chat', { model: theirs.model, messages }],
  ] as const) {
    const { content, isError } = await client.callTool({ name, arguments: args });
    assert.ok(
      isError && JSON.stringify(content).includes('model_not_allowed'),
      `${name} ${JSON.stringify(content)}`,
    );
  }
  await client.close();
});

describe('of an adapter with versions within and beyond the limit', () => {
  let adapter: string;
  let exact: Caller;
  before(async () => {
    const first = (await publishAdapter(bench, admin, 'mixed')).version;
    const second = (await publishAdapter(bench, admin, 'mixed')).version;
    adapter = `/v1/adapters/${first.adapterId}`;
    for (const [tag, version] of [
      ['theirs', 2],
      ['of-mine', 1],
    ] as const)
      assert.equal((await admin.send('POST', `${adapter}/tags`, { tag, version })).status, 200);
    const models = [first.modelName, 'ft:tiny:acme:mixed:tag'];
    assert.notEqual(first.modelName, second.modelName);
    exact = await bench.caller(bench.acme, 'member', { models });
  });

  test('a key sees its own versions and their tags', async () => {
    const { json } = await exact.send('GET', adapter);
    assert.deepEqual(
      [json.latest_version, json.tags.map(({ tag }: { tag: string }) => tag)],
      [1, ['of-mine']],
    );
    const listed = (await exact.send('GET', '/v1/adapters')).json.data;
    assert.deepEqual(listed, [json]);
    const versions = (await exact.send('GET', `${adapter}/versions`)).json.data;
    assert.deepEqual(
      versions.map(({ version }: { version: number }) => version),
      [1],
    );
    const tags = (await exact.send('GET', `${adapter}/tags`)).json.data;
    assert.deepEqual(
      tags.map(({ tag }: { tag: string }) => tag),
      ['of-mine'],
    );
  });

  test('changes of the whole adapter are refused, and an allowed tag cannot point at other versions', async () => {
    for (const [method, path, body] of [
      ['POST', '/note', { note: 'x' }],
      ['DELETE', '', undefined],
      ['POST', '/tags', { tag: 'tag', version: 2 }],
      ['POST', '/tags', { tag: 'theirs', version: 1 }],
      ['DELETE', '/tags/of-mine', undefined],
    ] as const) {
      const answer = await exact.send(method, adapter + path, body);
      assertError(answer, 403, 'model_not_allowed');
    }
    assert.equal((await exact.send('POST', `${adapter}/tags`, { tag: 'tag', version: 1 })).status, 200);
    assert.equal((await exact.send('POST', `${adapter}/versions/1/note`, { note: 'x' })).status, 200);
  });

  test('lineage shows no name of a version beyond the limit', async () => {
    const name = 'mixed-child';
    const { json } = await sendAdapter(admin, filesOf(await soundAdapter(bench)), {
      name,
      parent: (await admin.send('GET', `${adapter}/versions/1`)).json.model,
    });
    const lineage = await exact.send('GET', `${adapter}/versions/1/lineage`);
    assert.equal(lineage.status, 200);
    const node = lineage.json.nodes.find(({ id }: { id: string }) => id === json.id);
    assert.deepEqual([node.label, lineage.text.includes(name)], [null, false]);
  });
});

test('names in a limit are texts: %, _ and \\ in them stand for themselves', async () => {
  for (const models of [['ft:tiny:acme:%'], ['ft:tiny:acme:p_et:*'], ['ft:tiny:acme:\\*'], []]) {
    const odd = await bench.caller(bench.acme, 'viewer', { models });
    for (const path of lists)
      assert.deepEqual((await odd.send('GET', path)).json.data, [], `${models} ${path}`);
    assertError(await odd.send('GET', `/v1/adapters/${mine.adapter}`), 403, 'model_not_allowed');
  }
});

test('a key limited to a base model trains on it, and uploads adapters of it; it does not use what comes of that', async () => {
  const base = await bench.caller(bench.acme, 'member', { models: ['tiny'] });
  const created = await base.send('POST', jobs, { model: 'tiny', training_file: file, suffix: 'secretary' });
  assert.equal(created.status, 200, created.text);
  assert.equal((await base.send('GET', `${jobs}/${created.json.id}`)).status, 200);
  assertError(await base.send('GET', `${jobs}/${theirs.runningJob}`), 403, 'model_not_allowed');
  assert.equal((await base.send('POST', `${jobs}/${created.json.id}/cancel`)).status, 200);
  const uploaded = await sendAdapter(base, filesOf(await soundAdapter(bench)), { name: 'of-base' });
  assert.equal(uploaded.status, 200, uploaded.text);
  const { adapter_id, model } = uploaded.json;
  assertError(await base.send('GET', `/v1/adapters/${adapter_id}/versions/1`), 403, 'model_not_allowed');
  assertError(await base.send('DELETE', `/v1/models/${model}`), 403, 'model_not_allowed', 'model');
});

test('the same requests about its own model get through', async () => {
  for (const [route, askOf] of Object.entries(asks)) {
    if (routes.get(route)!.models === 'all' || route === 'GET /v1/files/{file_id}/report') continue;
    for (const [path, body] of askOf(mine, { mine, file, name: 'poet' })) {
      const answer = await limited.send(nameOf(route), path, body);
      const answered = `${route} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`;
      assert.notEqual(codeOf(answer), 'model_not_allowed', answered);
      assert.notEqual(answer.status, 404, answered);
      assert.notEqual(answer.status, 500, answered);
    }
  }
});

test('a key without a limit gets through with the requests that were refused', async () => {
  // The previous test has deleted the objects of `mine`.
  mine = await createModelObjects(bench, admin, { name: 'another', file });
  for (const [route, askOf] of Object.entries(asks)) {
    if (routes.get(route)!.models === 'all') continue;
    for (const [path, body] of askOf(theirs, { mine, file, name: 'secretary' })) {
      const answer = await admin.send(nameOf(route), path, body);
      const answered = `${route} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`;
      assert.notEqual(codeOf(answer), 'model_not_allowed', answered);
      assert.ok(![404, 500].includes(answer.status), answered);
    }
  }
});

test('the response of a route that should have checked the limit, and did not, is not sent', async () => {
  const app = Fastify();
  app.decorate('services', bench.services);
  app.decorateRequest('caller', null as never);
  app.addHook('onRequest', async (request) => {
    request.caller = { models: limit } as unknown as Identity;
  });
  await app.register(modelAccess);
  const access = { scope: 'jobs:read', models: 'filtered' } as const;
  app.get('/forgets', { config: { access } }, async () => ({ all: 'models' }));
  app.get('/looks', { config: { access } }, async (request) => ({ within: request.modelLimit() }));
  const forgets = await app.inject('/forgets');
  assert.deepEqual([forgets.statusCode, forgets.body.includes('all')], [500, false]);
  assert.deepEqual((await app.inject('/looks')).json(), { within: limit });
});
