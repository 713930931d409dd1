/**
 * Every route of a team is asked, by a key limited to one model, for what is another model's. The routes are those of the OpenAPI
 * document: one that is neither in `asks` nor in `withoutModels` fails, and so does one that lets the key through.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Identity } from '@graft/service';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import Fastify from 'fastify';
import { filesOf, sendAdapter, soundAdapter } from '../testing/adapter-parts.ts';
import { assertError } from '../testing/assert-error.ts';
import { keepCheckpoint } from '../testing/keep-checkpoint.ts';
import {
  type Answer,
  type ApiBench,
  type Caller,
  chatLine,
  openApiBench,
} from '../testing/open-api-bench.ts';
import { publishAdapter } from '../testing/publish-adapter.ts';
import { runJob } from '../testing/run-job.ts';
import type { TeamAccess } from './access.ts';
import { modelAccess } from './model-access.ts';

/** What one model has: all of it is made under one name, which stands in every answer about it. */
interface Things {
  job: string;
  runningJob: string;
  checkpoint: string;
  adapter: string;
  model: string;
  version: string;
}

let bench: ApiBench;
/** May use all models. */
let admin: Caller;
/** May use those of `poet` alone. */
let limited: Caller;
let mine: Things;
let theirs: Things;
let file: string;
let routes: Map<string, TeamAccess>;

const limit = ['ft:tiny:acme:poet:*'];

before(async () => {
  bench = await openApiBench();
  admin = await bench.caller(bench.acme, 'admin');
  limited = await bench.caller(bench.acme, 'admin', { models: limit });
  file = await admin.upload(chatLine);
  mine = await thingsOf('poet');
  theirs = await thingsOf('secretary');
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

/** Version 1 with a tag, version 2 deleted, and a running job with a kept checkpoint. */
async function thingsOf(name: string): Promise<Things> {
  const { version } = await publishAdapter(bench, admin, name);
  await publishAdapter(bench, admin, name);
  const adapter = `/v1/adapters/${version.adapterId}`;
  assert.equal((await admin.send('DELETE', `${adapter}/versions/2`)).status, 200);
  assert.equal((await admin.send('POST', `${adapter}/tags`, { tag: 'production', version: 1 })).status, 200);
  const body = { model: 'tiny', training_file: file, suffix: name, start_from: version.modelName };
  const job = (await admin.send('POST', '/v1/fine_tuning/jobs', body)).json.id;
  const checkpoint = await keepCheckpoint(bench, await runJob(bench, job), 10);
  return {
    ...{ job: version.jobId!, runningJob: job, checkpoint },
    ...{ adapter: version.adapterId, model: version.modelName, version: version.id },
  };
}

type Ask = [path: string, body?: unknown];

const job = { training_file: 'file', suffix: 'poet' };
const messages = [{ role: 'user', content: 'a' }];
const jobs = '/v1/fine_tuning/jobs';
const query = (path: string, values: Record<string, string>) => `${path}?${new URLSearchParams(values)}`;
const webhook = '/v1/webhooks/{webhook_id}';

/** What may start a job of another model, or make a version of one; `at`: of a path that takes the request for a job. */
const starts = (at: string, { model, version }: Things, name: string): Ask[] => [
  [at, { ...job, training_file: file, model }],
  [at, { ...job, training_file: file, model: 'tiny', start_from: model }],
  [at, { ...job, training_file: file, model: 'tiny', start_from: version }],
  [at, { training_file: file, model: mine.model, suffix: name }],
];

/** How each route is asked for `of`, whose things are called `name`. In an order in which each finds what it asks for. */
const asks: Record<string, (of: Things, name: string) => Ask[]> = {
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}': (of) => [
    [`${jobs}/${of.job}`],
    [`${jobs}/${of.runningJob}`],
  ],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/request': (of) => [[`${jobs}/${of.job}/request`]],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events': (of) => [
    [`${jobs}/${of.job}/events`],
    [`${jobs}/${of.job}/events?stream=true`],
  ],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/attempts': (of) => [[`${jobs}/${of.job}/attempts`]],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/trials': (of) => [[`${jobs}/${of.job}/trials`]],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints': (of) => [
    [`${jobs}/${of.runningJob}/checkpoints`],
  ],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/metrics': (of) => [[`${jobs}/${of.job}/metrics`]],
  'GET /v1/fine_tuning/jobs/losses': (of) => [
    [`${jobs}/losses?ids=${of.job}`],
    [`${jobs}/losses?ids=${mine.job},${of.job}`],
  ],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}': (of) => [
    [`${jobs}/${of.runningJob}`, { priority: 'low' }],
  ],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/pause': (of) => [[`${jobs}/${of.runningJob}/pause`]],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/resume': (of) => [[`${jobs}/${of.runningJob}/resume`]],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/clone': (of, name) => [
    [`${jobs}/${of.runningJob}/clone`, {}],
    [`${jobs}/${mine.runningJob}/clone`, { model: of.model }],
    [`${jobs}/${mine.runningJob}/clone`, { start_from: of.version }],
    [`${jobs}/${mine.runningJob}/clone`, { suffix: name }],
  ],
  'POST /v1/fine_tuning/jobs': (of, name) => starts(jobs, of, name),
  'POST /v1/fine_tuning/checks': (of, name) => starts('/v1/fine_tuning/checks', of, name),
  'POST /v1/fine_tuning/estimates': ({ model, version }) => [
    ['/v1/fine_tuning/estimates', { training_file: file, model }],
    ['/v1/fine_tuning/estimates', { training_file: file, model: 'tiny', start_from: model }],
    ['/v1/fine_tuning/estimates', { training_file: file, model: 'tiny', start_from: version }],
  ],
  'GET /v1/fine_tuning/options': (of) => [
    [query('/v1/fine_tuning/options', { model: of.model })],
    [query('/v1/fine_tuning/options', { model: 'tiny', start_from: of.version })],
  ],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints/{checkpoint_id}/download': (of) => [
    [`${jobs}/${of.runningJob}/checkpoints/${of.checkpoint}/download`],
  ],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints/{checkpoint_id}/promote': (of, name) => [
    [`${jobs}/${of.runningJob}/checkpoints/${of.checkpoint}/promote`, {}],
    [`${jobs}/${of.runningJob}/checkpoints/${of.checkpoint}/promote`, { name: 'poet' }],
    [`${jobs}/${mine.runningJob}/checkpoints/${mine.checkpoint}/promote`, { name }],
  ],
  'DELETE /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints/{checkpoint_id}': (of) => [
    [`${jobs}/${of.runningJob}/checkpoints/${of.checkpoint}`],
  ],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel': (of) => [[`${jobs}/${of.runningJob}/cancel`]],
  'GET /v1/files/{file_id}/report': () => [[`/v1/files/${file}/report?model=tiny`]],
  'POST /v1/chat/completions': ({ model }) => [['/v1/chat/completions', { model, messages }]],
  'POST /v1/completions': ({ model }) => [['/v1/completions', { model, prompt: 'a' }]],
  'GET /v1/models/{model}': ({ model }) => [
    [`/v1/models/${model}`],
    [`/v1/models/${encodeURIComponent(model)}`],
  ],
  'GET /v1/adapters/compare': ({ model }) => [
    [query('/v1/adapters/compare', { a: mine.model, b: model })],
    [query('/v1/adapters/compare', { a: model, b: mine.model })],
  ],
  'GET /v1/adapters/{adapter_id}': ({ adapter }) => [[`/v1/adapters/${adapter}`]],
  'GET /v1/adapters/{adapter_id}/versions': ({ adapter }) => [[`/v1/adapters/${adapter}/versions`]],
  'GET /v1/adapters/{adapter_id}/versions/{version}': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/1`],
  ],
  'GET /v1/adapters/{adapter_id}/versions/{version}/lineage': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/1/lineage`],
  ],
  'GET /v1/adapters/{adapter_id}/versions/{version}/download': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/1/download`],
  ],
  'GET /v1/adapters/{adapter_id}/tags': ({ adapter }) => [[`/v1/adapters/${adapter}/tags`]],
  'POST /v1/adapters/{adapter_id}/note': ({ adapter }) => [[`/v1/adapters/${adapter}/note`, { note: 'x' }]],
  'POST /v1/adapters/{adapter_id}/versions/{version}/note': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/1/note`, { note: 'x' }],
  ],
  'POST /v1/adapters/{adapter_id}/versions/{version}/restore': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/2/restore`],
  ],
  'POST /v1/adapters/{adapter_id}/tags': ({ adapter }) => [
    [`/v1/adapters/${adapter}/tags`, { tag: 'production', version: 1 }],
    [`/v1/adapters/${adapter}/tags`, { tag: 'staging', version: 1 }],
  ],
  'DELETE /v1/adapters/{adapter_id}/tags/{tag}': ({ adapter }) => [
    [`/v1/adapters/${adapter}/tags/production`],
  ],
  'DELETE /v1/adapters/{adapter_id}/versions/{version}': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/1`],
  ],
  'DELETE /v1/models/{model}': ({ model }) => [[`/v1/models/${model}`]],
  'DELETE /v1/adapters/{adapter_id}': ({ adapter }) => [[`/v1/adapters/${adapter}`]],
  // Of all models at once.
  'GET /v1/usage': () => [['/v1/usage?start_time=0']],
  'GET /v1/usage/budget': () => [['/v1/usage/budget']],
  'GET /v1/audit': () => [['/v1/audit']],
  'GET /v1/audit/export': () => [['/v1/audit/export']],
  'GET /v1/webhooks': () => [['/v1/webhooks']],
  'POST /v1/webhooks': () => [['/v1/webhooks', { url: 'https://example.com/' }]],
  'GET /v1/webhooks/{webhook_id}': () => [[webhook]],
  'POST /v1/webhooks/{webhook_id}': () => [[webhook, { enabled: true }]],
  'POST /v1/webhooks/{webhook_id}/rotate_secret': () => [[`${webhook}/rotate_secret`, {}]],
  'POST /v1/webhooks/{webhook_id}/test': () => [[`${webhook}/test`]],
  'GET /v1/webhooks/{webhook_id}/deliveries': () => [[`${webhook}/deliveries`]],
  'POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend': () => [
    [`${webhook}/deliveries/x/resend`],
  ],
  'DELETE /v1/webhooks/{webhook_id}': () => [[webhook]],
  'POST /v1/integrations/{type}': () => [['/v1/integrations/mlflow', { url: 'https://example.com/' }]],
  'DELETE /v1/integrations/{type}': () => [['/v1/integrations/mlflow']],
  'DELETE /v1/team': () => [['/v1/team?name=acme']],
};

/** Lists, whose answers leave out what is beyond the limit. */
const lists = ['/v1/fine_tuning/jobs', '/v1/models', '/v1/adapters', '/v1/adapters/deleted'];

/** Asked apart: a stream without an end, and a form. */
const apart = ['GET /v1/fine_tuning/jobs/changes', 'POST /v1/adapters'];

/** Routes that touch no model: each was looked at. */
const withoutModels = [
  ...['GET /v1/files', 'POST /v1/files', 'GET /v1/files/{file_id}', 'DELETE /v1/files/{file_id}'],
  ...[
    'GET /v1/files/{file_id}/content',
    'GET /v1/uploads',
    'POST /v1/uploads',
    'GET /v1/uploads/{upload_id}',
  ],
  ...['GET /v1/uploads/{upload_id}/parts', 'POST /v1/uploads/{upload_id}/parts'],
  ...['POST /v1/uploads/{upload_id}/complete', 'POST /v1/uploads/{upload_id}/cancel'],
  ...['GET /v1/team', 'GET /v1/team/quota', 'GET /v1/team/members', 'POST /v1/team/members/{person_id}'],
  ...['DELETE /v1/team/members/{person_id}', 'GET /v1/team/invitations', 'POST /v1/team/invitations'],
  ...['DELETE /v1/team/invitations/{invitation_id}', 'GET /v1/team/keys', 'POST /v1/team/keys'],
  ...['GET /v1/team/keys/{key_id}', 'POST /v1/team/keys/{key_id}/rotate', 'DELETE /v1/team/keys/{key_id}'],
  ...['GET /v1/integrations', 'GET /v1/integrations/{type}', 'POST /v1/team/leave'],
];

/** All that could have been changed. */
async function stateOf(): Promise<unknown> {
  const tables = [
    'adapters',
    'adapter_versions',
    'adapter_tags',
    'checkpoint_adapters',
    'jobs',
    'teams',
    'webhook_endpoints',
    'integrations',
  ];
  const rows = tables.map(
    (table) => `SELECT '${table}' AS name, to_jsonb(t) - 'updated_at' AS row FROM ${table} t`,
  );
  // A job that is validated or waits moves by itself.
  const { rows: found } = await bench.services.sql.query(
    `SELECT name, row FROM (${rows.join(' UNION ALL ')}) all_rows
     WHERE name <> 'jobs' OR row->>'state' IN ('running', 'succeeded') ORDER BY 1, row::text`,
  );
  return found;
}

/** The code by which a request is refused; a check answers it among the faults. */
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
  assert.deepEqual(
    none.filter((route) => !withoutModels.includes(route)),
    [],
  );
});

test('a limited key is refused on every one of them, and nothing has changed', async () => {
  const before = await stateOf();
  for (const [route, askOf] of Object.entries(asks)) {
    for (const [path, body] of askOf(theirs, 'secretary')) {
      const answer = await limited.send(nameOf(route), path, body);
      const told = `${route} ${path} ${JSON.stringify(body)}: ${answer.status} ${answer.text.slice(0, 300)}`;
      assert.equal(codeOf(answer), 'model_not_allowed', told);
      assert.ok(answer.text.includes('limited to ft:tiny:acme:poet:*'), told);
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
  assert.equal((await upload({ name: 'poet', parent: mine.model })).status, 200);
});

test('lists and streams leave out what is beyond the limit, page by page', async () => {
  const hidden = ['secretary', theirs.job, theirs.runningJob, theirs.adapter, theirs.version];
  const check = (text: string, told: string) => {
    for (const word of hidden) assert.ok(!text.includes(word), `${told} shows ${word}`);
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

  test('changes of the whole are refused, and a tag of its own points at nothing else', async () => {
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
    for (const [path, body] of askOf(mine, 'poet')) {
      const answer = await limited.send(nameOf(route), path, body);
      const told = `${route} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`;
      assert.notEqual(codeOf(answer), 'model_not_allowed', told);
      assert.notEqual(answer.status, 404, told);
      assert.notEqual(answer.status, 500, told);
    }
  }
});

test('a key without a limit gets through with the requests that were refused', async () => {
  // The test before has deleted its own.
  mine = await thingsOf('another');
  for (const [route, askOf] of Object.entries(asks)) {
    if (routes.get(route)!.models === 'all') continue;
    for (const [path, body] of askOf(theirs, 'secretary')) {
      const answer = await admin.send(nameOf(route), path, body);
      const told = `${route} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`;
      assert.notEqual(codeOf(answer), 'model_not_allowed', told);
      assert.ok(![404, 500].includes(answer.status), told);
    }
  }
});

test('an answer of a route that should have looked at the limit, and did not, is not sent', async () => {
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
