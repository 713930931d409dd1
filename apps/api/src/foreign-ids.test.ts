/**
 * Requests objects of another team and objects that do not exist, from every route with an id in its path, its query string or its body:
 * the responses must be identical. The routes are those of the OpenAPI document. A route with an id that the tables here do not contain
 * fails.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Access } from './access/access.ts';
import { keepCheckpoint } from './testing/keep-checkpoint.ts';
import { type Answer, type ApiBench, type Caller, chatLine, openApiBench } from './testing/open-api-bench.ts';
import { publishAdapter } from './testing/publish-adapter.ts';
import { adapterForm, formOf, targetOf } from './testing/request-bodies.ts';
import { runJob } from './testing/run-job.ts';

interface Property {
  $ref?: string;
  properties?: Record<string, Property>;
}

interface Operation {
  'x-graft-access'?: Access;
  parameters?: { in: string; name: string }[];
  requestBody?: { content: Record<string, { schema: Property }> };
}

interface Route {
  method: string;
  path: string;
  /** Names of parameters in the path. */
  ids: string[];
  query: string[];
  body: string[];
}

let bench: ApiBench;
let asking: Caller;
let asked: Caller;
let routes: Route[];
/** By path parameter: an id of the other team, and one that does not exist. */
let ids: Record<string, { theirs: string; unknown: string }>;
const shared = mkdtempSync(join(tmpdir(), 'graft-test-deploy-'));
const receiver = createServer((_request, response) => response.writeHead(500).end());

before(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  bench = await openApiBench(
    { webhooks: { pollMs: 20, firstSeconds: 60, longestSeconds: 60 } },
    {
      GRAFT_WEBHOOK_ALLOW: '127.0.0.1',
      HF_ENDPOINT: 'http://127.0.0.1:9',
      GRAFT_DEPLOY_ALLOW: '*=127.0.0.1:*',
      GRAFT_DEPLOY_FOLDER: shared,
    },
  );
  asking = await bench.caller(bench.acme, 'admin');
  asked = await bench.caller(bench.other, 'admin');
  routes = await routesOfTeams();
  ids = await createModelObjects(asked);
});
after(async () => {
  await bench?.close();
  receiver.close();
  rmSync(shared, { recursive: true, force: true });
});

async function routesOfTeams(): Promise<Route[]> {
  const { paths, components } = (await (await fetch(`${bench.url}/docs/json`)).json()) as {
    paths: Record<string, Record<string, Operation>>;
    components: { schemas: Record<string, Property> };
  };
  const propertiesOf = (schema: Property): string[] => {
    const name = schema.$ref?.split('/').at(-1);
    return Object.keys((name ? components.schemas[name]! : schema).properties ?? {});
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => typeof operation['x-graft-access'] === 'object')
      .map(([method, { parameters = [], requestBody }]) => ({
        method: method.toUpperCase(),
        path,
        ids: [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!),
        query: parameters.filter((one) => one.in === 'query').map(({ name }) => name),
        body: Object.values(requestBody?.content ?? {}).flatMap(({ schema }) => propertiesOf(schema)),
      })),
  );
}

const newUpload = { filename: 'x.jsonl', purpose: 'fine-tune', bytes: 3, mime_type: 'text/plain' };

/** Creates one object of each kind for this team. */
async function createModelObjects(team: Caller): Promise<typeof ids> {
  const post = async (path: string, body: object) => {
    const answer = await team.send('POST', path, body);
    assert.equal(answer.status, 200, `${path}: ${answer.text}`);
    return answer.json;
  };
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  const webhook = await post('/v1/webhooks', { url });
  const { version } = await publishAdapter(bench, team, 'secret');
  await post(`/v1/adapters/${version.adapterId}/tags`, { tag: 'production', version: 1 });
  const made = await post(`/v1/adapters/${version.adapterId}/versions/1/exports`, { format: 'peft' });
  await post('/v1/integrations/huggingface', { secret: 'hf_token' });
  await post('/v1/team/publishing', { repositories: ['org'] });
  const publications = `/v1/adapters/${version.adapterId}/versions/1/publications`;
  const { id: publicationId } = await post(publications, { repository: 'org/secret' });
  const { id: targetId } = await post('/v1/deploy_targets', targetOf(version.adapterId));
  const upload = await post('/v1/uploads', newUpload);
  const part = await team.send('POST', `/v1/uploads/${upload.id}/parts`, formOf('{}\n'));
  const file = await team.upload(chatLine);
  const job = await post('/v1/fine_tuning/jobs', { model: 'tiny', training_file: file });
  const checkpoint = await keepCheckpoint(bench, await runJob(bench, job.id), 10);
  const invitation = await post('/v1/team/invitations', { email: 'a@example.com', role: 'member' });
  const accepted = await post('/v1/invitations/accept', { token: invitation.token, name: 'A' });
  const pending = await post('/v1/team/invitations', { email: 'b@example.com', role: 'member' });
  const key = await post('/v1/team/keys', { name: 'x', role: 'viewer', owner: 'team' });
  const [person] = (await team.send('GET', '/v1/team/members')).json.data;
  assert.ok(accepted && person, 'somebody is a member');
  const deliveries = `/v1/webhooks/${webhook.id}/deliveries`;
  for (const end = performance.now() + 30_000; ; await sleep(50)) {
    if ((await team.send('GET', deliveries)).json.data.length > 0) break;
    assert.ok(performance.now() < end, 'a delivery is listed');
  }
  const delivery = (await team.send('GET', deliveries)).json.data[0].id;
  const unknown = (id: string) => `${id.slice(0, -24)}${'0'.repeat(24)}`;
  const row = (id: string) => ({ theirs: id, unknown: unknown(id) });
  return {
    file_id: row(file),
    export_id: row(made.id),
    publication_id: row(publicationId),
    target_id: row(targetId),
    upload_id: row(upload.id),
    part_id: row(part.json.id),
    fine_tuning_job_id: row(job.id),
    checkpoint_id: row(checkpoint),
    adapter_id: row(version.adapterId),
    model: { theirs: version.modelName, unknown: version.modelName.replace(/.{8}$/, '00000000') },
    person_id: row(person.id),
    invitation_id: row(pending.id),
    key_id: { theirs: key.id, unknown: key.id.replace(/.{8}$/, '00000000') },
    webhook_id: row(webhook.id),
    delivery_id: row(delivery),
    // Below an unknown id these are never checked.
    version: { theirs: '1', unknown: '1' },
    tag: { theirs: 'production', unknown: 'production' },
  };
}

/** A valid body for routes that require one. */
const bodies: Record<string, () => unknown> = {
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/clone': () => ({}),
  'POST /v1/files/{file_id}/report': () => ({ model: 'tiny' }),
  'POST /v1/uploads/{upload_id}/parts': () => formOf('{}\n'),
  'POST /v1/uploads/{upload_id}/complete': () => ({ part_ids: [ids.part_id!.theirs] }),
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}': () => ({ priority: 'low' }),
  'POST /v1/adapters/{adapter_id}/tags': () => ({ tag: 'x', version: 1 }),
  'POST /v1/adapters/{adapter_id}/note': () => ({ note: 'x' }),
  'POST /v1/adapters/{adapter_id}/versions/{version}/note': () => ({ note: 'x' }),
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints/{checkpoint_id}/promote': () => ({}),
  'POST /v1/adapters/{adapter_id}/versions/{version}/publications': () => ({ repository: 'org/x' }),
  'POST /v1/adapters/{adapter_id}/versions/{version}/exports': () => ({ format: 'peft' }),
  'POST /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}': () => ({ keep: true }),
  'POST /v1/deploy_targets/{target_id}': () => ({ keep_seconds: 1 }),
  'POST /v1/team/members/{person_id}': () => ({ role: 'viewer' }),
  'POST /v1/team/keys/{key_id}/rotate': () => ({}),
  'POST /v1/webhooks/{webhook_id}': () => ({ enabled: false }),
  'POST /v1/webhooks/{webhook_id}/rotate_secret': () => ({}),
};

/** An object of the caller's, as parent of another team's id. */
async function ownAbove(name: string): Promise<string> {
  if (name === 'fine_tuning_job_id') {
    const training_file = await asking.upload(chatLine);
    const job = await asking.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
    return job.json.id;
  }
  if (name === 'adapter_id') return (await publishAdapter(bench, asking, 'above')).version.adapterId;
  if (name === 'version') return '1';
  assert.equal(name, 'webhook_id', `${name} stands above an id: say here what the caller's own is`);
  const { json } = await asking.send('POST', '/v1/webhooks', { url: 'http://127.0.0.1:9/' });
  return json.id;
}

/** Path parameters that are not ids: every team has the same values, or chooses them. */
const callerParams = ['type', 'alias'];

/** Ids that are only meaningful below the parent in the path. */
const parentParams = ['version', 'tag'];

function same(theirs: Answer, unknown: Answer, label: string, swap: (text: string) => string): void {
  assert.equal(theirs.status, unknown.status, `${label}: ${theirs.text} and ${unknown.text}`);
  assert.equal(swap(theirs.text), unknown.text, label);
}

test('an id in a path', async () => {
  const withIds = routes.filter((route) => route.ids.some((name) => !callerParams.includes(name)));
  assert.ok(withIds.length > 40, `${withIds.length} routes`);
  for (const { method, path, ids: names } of withIds) {
    const last = names.filter((name) => !parentParams.includes(name)).at(-1)!;
    for (const name of names) assert.ok(ids[name], `${method} ${path}: a row for ${name}`);
    for (const owned of [null, ...names.slice(0, names.indexOf(last))]) {
      const own = owned && (await ownAbove(owned));
      const fill = (kind: 'theirs' | 'unknown') =>
        path.replace(/\{(\w+)\}/g, (_, name: string) =>
          encodeURIComponent(name === owned ? own! : ids[name]![kind]),
        );
      const label = `${method} ${path}${owned ? ` below the caller's own ${owned}` : ''}`;
      const body = bodies[`${method} ${path}`];
      const theirs = await asking.send(method, fill('theirs'), body?.());
      const unknown = await asking.send(method, fill('unknown'), body?.());
      assert.equal(unknown.status, 404, `${label}: ${unknown.text}`);
      same(theirs, unknown, label, (text) =>
        names.reduce((so, name) => so.replaceAll(ids[name]!.theirs, ids[name]!.unknown), text),
      );
    }
  }
});

test('cursors of lists', async () => {
  /** The kind of object in each list. */
  const listed: Record<string, string> = {
    '/v1/files': 'file_id',
    '/v1/uploads': 'upload_id',
    '/v1/uploads/{upload_id}/parts': 'part_id',
    '/v1/fine_tuning/jobs': 'fine_tuning_job_id',
    '/v1/adapters': 'adapter_id',
    '/v1/adapters/deleted': 'adapter_id',
    '/v1/models': 'model',
    '/v1/team/members': 'person_id',
    '/v1/team/invitations': 'invitation_id',
    '/v1/team/keys': 'key_id',
    '/v1/webhooks': 'webhook_id',
    '/v1/deploy_targets': 'target_id',
  };
  /** Lists that continue after a number, which is not an id of a team. */
  const byNumber = ['/v1/audit', '/v1/audit/export'];
  const lists = routes.filter(
    ({ path, query, ids: names }) =>
      query.includes('after') && names.length === 0 && !byNumber.includes(path),
  );
  assert.ok(lists.length >= 10, `${lists.length} lists`);
  for (const { path } of lists) {
    const row = ids[listed[path]!];
    assert.ok(row, `${path}: say what it lists`);
    const ask = async (after: string) =>
      await asking.send('GET', `${path}?${new URLSearchParams({ after })}`);
    same(await ask(row.theirs), await ask(row.unknown), path, (text) =>
      text.replaceAll(row.theirs, row.unknown),
    );
  }
});

/** Names in bodies and query strings that look like ids but refer to no object of a team. */
const noReference = new Set(['user', 'metadata', 'after', 'prompt_cache_key', 'safety_identifier']);
const looksLikeReference = /(^|_)(id|ids|file|files|model|target|parent|version|start_from|a|b)$/;

test('an id in a body or a query string', async () => {
  const file = await asking.upload(chatLine);
  const mine = (await publishAdapter(bench, asking, 'mine')).version;
  const upload = (await asking.send('POST', '/v1/uploads', newUpload)).json.id;
  await asking.send('POST', '/v1/integrations/huggingface', { secret: 'hf_token' });
  await asking.send('POST', '/v1/team/publishing', { repositories: ['org'] });
  const publications = `/v1/adapters/${mine.adapterId}/versions/1/publications`;
  const job = (await asking.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file: file })).json
    .id;
  const clone = (changes: object): [string, unknown] => [`/v1/fine_tuning/jobs/${job}/clone`, changes];
  const messages = [{ role: 'user', content: 'a' }];
  const own = mine.modelName;
  const compare = (a: string, b: string) => `/v1/adapters/compare?${new URLSearchParams({ a, b })}`;
  type Send = (id: string) => [path: string, body?: unknown];
  /** Requests to routes that accept a job request. */
  const takesJob = (
    route: string,
    path = route.replace('{file_id}', file),
  ): Record<string, [of: string, send: Send]> => {
    const job = { model: 'tiny', training_file: file };
    return {
      [`POST ${route} training_file`]: ['file_id', (id) => [path, { ...job, training_file: id }]],
      [`POST ${route} training_files`]: [
        'file_id',
        (id) => [path, { model: 'tiny', training_files: [{ file }, { file: id }] }],
      ],
      [`POST ${route} validation_file`]: ['file_id', (id) => [path, { ...job, validation_file: id }]],
      [`POST ${route} validation_files`]: [
        'file_id',
        (id) => [path, { ...job, validation_files: [{ file }, { file: id }] }],
      ],
      [`POST ${route} model`]: ['model', (id) => [path, { ...job, model: id }]],
      [`POST ${route} start_from`]: ['model', (id) => [path, { ...job, start_from: id }]],
    };
  };
  const rows: Record<string, [of: string, send: Send]> = {
    ...takesJob('/v1/fine_tuning/jobs'),
    ...takesJob('/v1/fine_tuning/estimates'),
    ...takesJob('/v1/fine_tuning/checks'),
    ...takesJob('/v1/files/{file_id}/report'),
    'GET /v1/fine_tuning/options model': [
      'model',
      (id) => [`/v1/fine_tuning/options?${new URLSearchParams({ model: id })}`],
    ],
    'GET /v1/fine_tuning/options start_from': [
      'model',
      (id) => [`/v1/fine_tuning/options?${new URLSearchParams({ model: 'tiny', start_from: id })}`],
    ],
    'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/clone training_file': [
      'file_id',
      (id) => clone({ training_file: id }),
    ],
    'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/clone training_files': [
      'file_id',
      (id) => clone({ training_files: [{ file }, { file: id }] }),
    ],
    'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/clone validation_file': [
      'file_id',
      (id) => clone({ validation_file: id }),
    ],
    'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/clone validation_files': [
      'file_id',
      (id) => clone({ validation_files: [{ file }, { file: id }] }),
    ],
    'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/clone model': ['model', (id) => clone({ model: id })],
    'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/clone start_from': [
      'model',
      (id) => clone({ start_from: id }),
    ],
    'POST /v1/uploads/{upload_id}/complete part_ids': [
      'part_id',
      (id) => [`/v1/uploads/${upload}/complete`, { part_ids: [id] }],
    ],
    'POST /v1/adapters/{adapter_id}/versions/{version}/publications export_id': [
      'export_id',
      (id) => [publications, { repository: 'org/x', export_id: id }],
    ],
    'POST /v1/deploy_targets adapter_id': ['adapter_id', (id) => ['/v1/deploy_targets', targetOf(id)]],
    'POST /v1/adapters parent': ['model', (id) => ['/v1/adapters', adapterForm(id)]],
    'POST /v1/model_aliases/{alias} target': [
      'model',
      (id) => ['/v1/model_aliases/gpt-4o-mini', { target: id }],
    ],
    'POST /v1/chat/completions model': ['model', (id) => ['/v1/chat/completions', { model: id, messages }]],
    'POST /v1/completions model': ['model', (id) => ['/v1/completions', { model: id, prompt: 'a' }]],
    'POST /v1/embeddings model': ['model', (id) => ['/v1/embeddings', { model: id, input: 'a' }]],
    'POST /v1/classify model': ['model', (id) => ['/v1/classify', { model: id, input: 'a' }]],
    'GET /v1/adapters/compare a': ['model', (id) => [compare(id, own)]],
    'GET /v1/adapters/compare b': ['model', (id) => [compare(own, id)]],
    'GET /v1/fine_tuning/jobs/losses ids': [
      'fine_tuning_job_id',
      (id) => [`/v1/fine_tuning/jobs/losses?ids=${id}`],
    ],
    'GET /v1/files/{file_id}/report model': [
      'model',
      (id) => [`/v1/files/${file}/report?${new URLSearchParams({ model: id })}`],
    ],
  };
  /** Fields that refer to an object of the operator or of the path, or by which the team's own rows are filtered. */
  const others = new Set([
    'GET /v1/audit target',
    'GET /v1/audit/export target',
    'GET /v1/adapters base_model',
    'GET /v1/deploy_targets adapter_id',
    'GET /v1/fine_tuning/jobs model',
    'POST /v1/adapters base_model',
    'POST /v1/adapters file',
    'POST /v1/files file',
    'POST /v1/adapters/{adapter_id}/tags version',
    'POST /v1/adapters/{adapter_id}/tags expected_version',
  ]);
  const references = routes.flatMap(({ method, path, query, body }) =>
    [...query, ...body]
      .filter((name) => looksLikeReference.test(name) && !noReference.has(name))
      .map((name) => `${method} ${path} ${name}`),
  );
  assert.deepEqual(references.filter((one) => !others.has(one)).sort(), Object.keys(rows).sort());
  for (const [label, [of, send]] of Object.entries(rows)) {
    const method = label.split(' ')[0]!;
    const { theirs, unknown } = ids[of]!;
    const nobodys = await asking.send(method, ...send(unknown));
    // A check of a job returns faults with status 200.
    const isRefused = nobodys.status >= 400 || nobodys.json.faults?.length > 0;
    assert.ok(isRefused && nobodys.status < 500, `${label}: ${nobodys.text}`);
    same(await asking.send(method, ...send(theirs)), nobodys, label, (text) =>
      text.replaceAll(theirs, unknown),
    );
  }
});

test('all of the requested objects still exist, for their own team', async () => {
  for (const [name, path] of Object.entries({
    file_id: '/v1/files/',
    upload_id: '/v1/uploads/',
    fine_tuning_job_id: '/v1/fine_tuning/jobs/',
    adapter_id: '/v1/adapters/',
    model: '/v1/models/',
    key_id: '/v1/team/keys/',
    webhook_id: '/v1/webhooks/',
  })) {
    const answer = await asked.send('GET', path + encodeURIComponent(ids[name]!.theirs));
    assert.equal(answer.status, 200, `${name}: ${answer.text}`);
  }
  const job = await asked.send('GET', `/v1/fine_tuning/jobs/${ids.fine_tuning_job_id!.theirs}`);
  assert.equal(job.json.status, 'running');
  const checkpoints = await asked.send('GET', `/v1/fine_tuning/jobs/${job.json.id}/checkpoints`);
  const [checkpoint] = checkpoints.json.data;
  assert.deepEqual([checkpoint.id, checkpoint.available], [ids.checkpoint_id!.theirs, true]);
});
