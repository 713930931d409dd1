/** Responses to a key with only a write scope, of each route that shows more than it was sent. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createPerson, putMember } from '@graft/service/people';
import type { Scope } from '@graft/wire/lists';
import { filesOf, sendAdapter, soundAdapter } from '../testing/adapter-parts.ts';
import { keepCheckpoint } from '../testing/keep-checkpoint.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../testing/open-api-bench.ts';
import { publishAdapter } from '../testing/publish-adapter.ts';
import { runJob } from '../testing/run-job.ts';
import type { Access } from './access.ts';

let bench: ApiBench;
let admin: Caller;
before(async () => {
  bench = await openApiBench(
    {},
    { HF_ENDPOINT: 'http://127.0.0.1:9', GRAFT_DEPLOY_FOLDER: '/nowhere/shared' },
  );
  admin = await bench.caller(bench.acme, 'admin');
});
after(async () => await bench?.close());

type Ask = [path: string, body?: unknown];

/** A valid request for every route whose response a scope guards. */
async function asksOf(): Promise<Record<string, Ask>> {
  const post = async (path: string, body: object) => (await admin.send('POST', path, body)).json;
  const { version } = await publishAdapter(bench, admin, 'secretary');
  await publishAdapter(bench, admin, 'secretary');
  const adapter = `/v1/adapters/${version.adapterId}`;
  await admin.send('DELETE', `${adapter}/versions/2`);
  const training_file = await admin.upload(chatLine);
  const metadata = { secret: 'secretary' };
  const { id } = await post('/v1/fine_tuning/jobs', { model: 'tiny', training_file, metadata });
  const job = `/v1/fine_tuning/jobs/${id}`;
  const checkpoint = await keepCheckpoint(bench, await runJob(bench, id), 10);
  const hook = await post('/v1/webhooks', {
    url: 'https://secretary.example.com/',
    description: 'secretary',
  });
  const about = { filename: 'secretary.jsonl', purpose: 'fine-tune', bytes: 3, mime_type: 'text/plain' };
  const upload = await post('/v1/uploads', about);
  await post('/v1/integrations/mlflow', { url: 'https://secretary.example.com/' });
  const deploy = {
    name: 'secretary',
    runtime: 'vllm',
    url: 'https://secretary.example.com',
    adapter_id: version.adapterId,
    tag: 'production',
    model_name: 'secretary',
  };
  const target = `/v1/deploy_targets/${(await post('/v1/deploy_targets', deploy)).id}`;
  const email = 'secretary@example.com';
  const person = await createPerson(bench.services, { email, name: 'secretary' });
  await putMember(bench.services, bench.acme.teamId, person.id, 'member');
  const event = await post(`/v1/webhooks/${hook.id}/test`, {});
  assert.ok(event.event_id, JSON.stringify(event));
  const deliveries = `/v1/webhooks/${hook.id}/deliveries`;
  let delivery = '';
  for (const end = performance.now() + 30_000; delivery === ''; ) {
    delivery = (await admin.send('GET', deliveries)).json.data[0]?.id ?? '';
    assert.ok(performance.now() < end, 'a delivery is listed');
  }
  await post('/v1/integrations/huggingface', { secret: 'hf_secretary' });
  await post('/v1/team/publishing', { repositories: ['org/secretary'] });
  const exported = await post(`${adapter}/versions/1/exports`, { format: 'merged' });
  assert.ok(exported.id, JSON.stringify(exported));
  const sources = [];
  for (const seed of [1, 2]) {
    const files = filesOf(await soundAdapter(bench, {}, seed));
    const { json } = await sendAdapter(admin, files, { name: `secretary-${seed}` });
    sources.push({ model: json.model });
  }
  const jobs = 'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}';
  const adapters = 'POST /v1/adapters/{adapter_id}';
  return {
    [jobs]: [job, { priority: 'low' }],
    [`${jobs}/pause`]: [`${job}/pause`],
    [`${jobs}/resume`]: [`${job}/resume`],
    [`${jobs}/checkpoints/{checkpoint_id}/promote`]: [`${job}/checkpoints/${checkpoint}/promote`, {}],
    [`${jobs}/cancel`]: [`${job}/cancel`],
    [`${adapters}/note`]: [`${adapter}/note`, { note: 'n' }],
    [`${adapters}/versions/{version}/note`]: [`${adapter}/versions/1/note`, { note: 'n' }],
    [`${adapters}/versions/{version}/restore`]: [`${adapter}/versions/2/restore`],
    [`${adapters}/versions/{version}/exports`]: [`${adapter}/versions/1/exports`, { format: 'peft' }],
    [`${adapters}/versions/{version}/exports/{export_id}`]: [
      `${adapter}/versions/1/exports/${exported.id}`,
      { keep: true },
    ],
    [`${adapters}/versions/{version}/exports/{export_id}/cancel`]: [
      `${adapter}/versions/1/exports/${exported.id}/cancel`,
    ],
    'POST /v1/adapters/combine': ['/v1/adapters/combine', { name: 'secretary-both', sources, note: 'n' }],
    [`${adapters}/versions/{version}/publications`]: [
      `${adapter}/versions/1/publications`,
      { repository: 'org/secretary' },
    ],
    [`${adapters}/tags`]: [`${adapter}/tags`, { tag: 'production', version: 1 }],
    'POST /v1/uploads/{upload_id}/cancel': [`/v1/uploads/${upload.id}/cancel`],
    'POST /v1/webhooks/{webhook_id}': [`/v1/webhooks/${hook.id}`, { enabled: true }],
    'POST /v1/webhooks/{webhook_id}/rotate_secret': [`/v1/webhooks/${hook.id}/rotate_secret`, {}],
    'POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend': [`${deliveries}/${delivery}/resend`],
    'POST /v1/integrations/{type}': ['/v1/integrations/mlflow', {}],
    'POST /v1/deploy_targets': ['/v1/deploy_targets', { ...deploy, name: 'other', model_name: 'other' }],
    'POST /v1/deploy_targets/{target_id}': [target, { keep_seconds: 1 }],
    'POST /v1/deploy_targets/{target_id}/retry': [`${target}/retry`],
    'POST /v1/model_aliases/{alias}': ['/v1/model_aliases/gpt', { target: version.modelName }],
    'POST /v1/team/publishing': ['/v1/team/publishing', { public: false }],
    'POST /v1/team/members/{person_id}': [`/v1/team/members/${person.id}`, { role: 'viewer' }],
  };
}

test('a key that may write but not read learns only what was changed', async () => {
  const { paths } = (await (await fetch(`${bench.url}/docs/json`)).json()) as {
    paths: Record<string, Record<string, { 'x-graft-access'?: Access; responses: Record<string, object> }>>;
  };
  const guarded = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { 'x-graft-access': access, responses }]) =>
      typeof access === 'object' && 'answer' in access && access.answer !== 'own'
        ? [{ route: `${method.toUpperCase()} ${path}`, access, responses }]
        : [],
    ),
  );
  const asks = await asksOf();
  assert.deepEqual(guarded.map(({ route }) => route).sort(), Object.keys(asks).sort());
  const shown = new Set(['id', 'object', 'secret']);
  for (const [route, [path, body]] of Object.entries(asks)) {
    const { access, responses } = guarded.find((one) => one.route === route)!;
    assert.ok(responses[202], `${route} documents its receipt`);
    const caller = await bench.caller(bench.acme, 'admin', { scopes: [access.scope] as Scope[] });
    const answer = await caller.send('POST', path, body);
    assert.equal(answer.status, 202, `${route}: ${answer.text}`);
    assert.deepEqual(
      Object.keys(answer.json).filter((name) => !shown.has(name)),
      [],
      route,
    );
    assert.ok(answer.json.object && !answer.text.includes('secretary'), `${route}: ${answer.text}`);
  }
  // The same request with the read scope.
  const reads = await bench.caller(bench.acme, 'member', { scopes: ['adapters:write', 'adapters:read'] });
  const [path, body] = asks['POST /v1/adapters/{adapter_id}/note']!;
  const whole = await reads.send('POST', path, body);
  assert.deepEqual([whole.status, whole.json.name, whole.json.note], [200, 'secretary', 'n']);
});

test('a secret that exists nowhere else is in the receipt', async () => {
  const hook = (await admin.send('POST', '/v1/webhooks', { url: 'https://example.com/' })).json.id;
  const limits = { name: 'x', role: 'viewer', owner: 'team', scopes: ['keys:write'] };
  const key = (await admin.send('POST', '/v1/team/keys', limits)).json.id;
  const caller = await bench.caller(bench.acme, 'admin', { scopes: ['webhooks:write', 'keys:write'] });
  const rotated = await caller.send('POST', `/v1/webhooks/${hook}/rotate_secret`, {});
  assert.deepEqual([rotated.status, Object.keys(rotated.json).sort()], [202, ['id', 'object', 'secret']]);
  const successor = await caller.send('POST', `/v1/team/keys/${key}/rotate`, {});
  // The creator of a key has all of its rights, so the response is complete.
  assert.deepEqual([successor.status, successor.json.name], [200, 'x']);
  assert.match(successor.json.key, /^graft_/);
});
