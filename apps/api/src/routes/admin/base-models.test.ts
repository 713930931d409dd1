import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeTinyModel } from '@graft/peft-core/testing';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';

const list = '/v1/admin/base-models';
let folder: string;
let bench: ApiBench;
let operator: Caller;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-bases-'));
  await writeTinyModel(path.join(folder, 'mine'), { max_position_embeddings: 64 });
  await writeTinyModel(path.join(folder, 'broken'));
  await writeFile(path.join(folder, 'broken', 'config.json'), '{"model_type": "nonesuch"}');
  bench = await openApiBench({}, { GRAFT_BASE_MODEL_SOURCES: folder, GRAFT_HUB_ALLOW: 'allowed/*' });
  operator = await bench.operator();
});
after(async () => {
  await bench?.close();
  await rm(folder, { recursive: true, force: true });
});

// biome-ignore lint/suspicious/noExplicitAny: what the API answers
async function untilEnd(id: string): Promise<any> {
  for (const end = performance.now() + 240_000; ; await sleep(30)) {
    const { json } = await operator.send('GET', `${list}/${encodeURIComponent(id)}`);
    if (json.state === 'ready' || json.state === 'failed') return json;
    assert.ok(performance.now() < end, `waited in vain: ${JSON.stringify(json)}`);
  }
}

const idsOf = async (team: Caller): Promise<string[]> =>
  (await team.send('GET', '/v1/models')).json.data.map(({ id }: { id: string }) => id);

const jobOn = async (team: Caller, model: string) =>
  await team.send('POST', '/v1/fine_tuning/jobs', { model, training_file: await team.upload(chatLine) });

test('the operator adds a model for one team; to the other it does not exist', async () => {
  const { acme, other } = bench;
  const body = { id: 'our/mine', folder: path.join(folder, 'mine'), teams: [acme.teamId] };
  const made = await operator.send('POST', list, body);
  assert.equal(made.status, 200, made.text);
  assert.deepEqual([made.json.limited, made.json.allowed_teams], [true, [acme.teamId]]);
  const ready = await untilEnd('our/mine');
  assert.deepEqual([ready.state, ready.error, ready.model_type], ['ready', null, 'llama']);
  assert.match(ready.weights_sha256, /^[0-9a-f]{64}$/);
  assert.equal(
    ready.bytes_total,
    ready.files.reduce((sum: number, { bytes }: { bytes: number }) => sum + bytes, 0),
  );

  assert.ok((await idsOf(acme)).includes('our/mine'));
  assert.ok(!(await idsOf(other)).includes('our/mine'));
  assert.equal((await acme.send('GET', '/v1/models/our/mine')).status, 200);
  const hidden = await other.send('GET', '/v1/models/our/mine');
  const unknown = await other.send('GET', '/v1/models/our/none');
  assertError(hidden, 404, 'model_not_found');
  assert.equal(hidden.text.replace('our/mine', 'our/none'), unknown.text);
  const chat = { messages: [{ role: 'user', content: 'a' }] };
  assertError(
    await other.send('POST', '/v1/chat/completions', { model: 'our/mine', ...chat }),
    404,
    'model_not_found',
    'model',
  );
  const refused = await jobOn(other, 'our/mine');
  assertError(refused, 400, 'model_not_found', 'model');
  assert.ok(!refused.text.replace("'our/mine'", '').includes('our/mine'), refused.text);
  const job = await jobOn(acme, 'our/mine');
  assert.equal(job.status, 200, job.text);
  await bench.untilState(job.json.id, 'queued');

  const inUse = await operator.send('DELETE', `${list}/our%2Fmine`);
  assertError(inUse, 400, 'base_model_in_use', 'base_model_id');
  assert.match(inUse.json.error.message, /1 job under way and 0 adapter versions/);
  const hid = await operator.send('POST', `${list}/our%2Fmine`, { hidden: true });
  assert.equal(hid.json.hidden, true);
  assert.ok(!(await idsOf(acme)).includes('our/mine'));
  assert.equal((await acme.send('GET', `/v1/fine_tuning/jobs/${job.json.id}`)).json.status, 'queued');
  await operator.send('POST', `${list}/our%2Fmine`, { hidden: false });
  assert.ok((await idsOf(acme)).includes('our/mine'));

  assert.equal((await acme.send('POST', `/v1/fine_tuning/jobs/${job.json.id}/cancel`)).status, 200);
  await bench.untilState(job.json.id, 'cancelled');
  assert.equal((await operator.send('DELETE', `${list}/our%2Fmine`)).json.deleted, true);
  assertError(await operator.send('DELETE', `${list}/our%2Fmine`), 404, 'unknown_base_model');
  assert.ok(!(await idsOf(acme)).includes('our/mine'));
  const audit = await bench.services.db.auditEntry.findMany({
    where: { target: 'our/mine' },
    orderBy: { createdAt: 'asc' },
  });
  assert.deepEqual(
    audit.map(({ action, teamId, keyId }) => [action, teamId, keyId === null]),
    ['add', 'hide', 'unhide', 'remove'].map((verb) => [`base_model.${verb}`, null, false]),
  );
});

test('a configured model is denied to a team, with the adapters it trained on it, and allowed again', async () => {
  const { acme, other } = bench;
  const { version } = await publishAdapter(bench, acme, 'mine');
  const ask = async (team: Caller, model: string) =>
    await team.send('POST', '/v1/completions', { model, prompt: 'a' });
  assertError(await ask(acme, version.modelName), 503, 'no_worker_available');
  const denied = await operator.send('POST', `${list}/tiny/deny`, { teams: [acme.teamId] });
  assert.deepEqual([denied.json.limited, denied.json.denied_teams], [false, [acme.teamId]]);
  assert.deepEqual(
    [(await idsOf(acme)).includes('tiny'), (await idsOf(other)).includes('tiny')],
    [false, true],
  );
  assertError(await ask(acme, 'tiny'), 404, 'model_not_found');
  assertError(await ask(acme, version.modelName), 404, 'model_not_found');
  assertError(await ask(other, 'tiny'), 503, 'no_worker_available');
  assertError(await jobOn(acme, 'tiny'), 400, 'model_not_found', 'model');
  const file = await acme.upload(chatLine);
  assertError(await acme.send('GET', `/v1/files/${file}/report?model=tiny`), 404, 'model_not_found', 'model');

  await operator.send('POST', `${list}/tiny/allow`, { teams: [acme.teamId] });
  assert.deepEqual(
    [(await idsOf(acme)).includes('tiny'), (await idsOf(other)).includes('tiny')],
    [true, false],
  );
  const open = await operator.send('POST', `${list}/tiny/allow`, { teams: null });
  assert.deepEqual([open.json.limited, open.json.allowed_teams, open.json.denied_teams], [false, [], []]);
  for (const team of [acme, other]) assert.ok((await idsOf(team)).includes('tiny'));
  const missing = await operator.send('POST', `${list}/tiny/allow`, { teams: ['team-none'] });
  assertError(missing, 404, 'team_not_found', 'teams');
  assertError(await operator.send('POST', `${list}/none/deny`, { teams: [] }), 404, 'unknown_base_model');
  assert.equal(
    (await operator.send('POST', `${list}/allowed%2Fany/deny`, { teams: [acme.teamId] })).status,
    200,
  );
  assertError(await ask(acme, 'allowed/any'), 404, 'model_not_found');
});

test('a model limited to teams that are gone is seen by none', async () => {
  const { id } = (await operator.send('POST', '/v1/admin/teams', { name: 'short-lived' })).json;
  await operator.send('POST', `${list}/tiny/allow`, { teams: [id] });
  await bench.services.db.team.deleteMany({ where: { id } });
  for (const team of [bench.acme, bench.other]) assert.ok(!(await idsOf(team)).includes('tiny'));
  await operator.send('POST', `${list}/tiny/allow`, { teams: null });
});

test('duplicate ids, forbidden sources and broken models have clear errors', async () => {
  const add = async (body: object) => await operator.send('POST', list, body);
  const place = path.join(folder, 'mine');
  assertError(await add({ id: 'tiny', folder: place }), 400, 'base_model_exists', 'id');
  assertError(await add({ id: 'allowed/any', folder: place }), 400, 'base_model_exists', 'id');
  assertError(await add({ id: 'etc', folder: '/etc' }), 400, 'base_model_source_not_allowed', 'folder');
  assertError(
    await add({ id: 'x', folder: `${folder}/../etc` }),
    400,
    'base_model_source_not_allowed',
    'folder',
  );
  assertError(await add({ id: 'x', s3: 's3://bucket/any' }), 400, 'base_model_source_not_allowed', 's3');
  assertError(await add({ id: 'x', hub: 'other/name' }), 400, 'base_model_source_not_allowed', 'hub');
  assertError(await add({ id: 'x' }), 400, 'invalid_value', 'hub');
  assertError(await add({ id: 'x', folder: place, teams: ['team-none'] }), 404, 'team_not_found', 'teams');
  assertError(await operator.send('GET', `${list}/x`), 404, 'unknown_base_model');
  assert.equal((await add({ id: 'broken', folder: path.join(folder, 'broken') })).status, 200);
  const { state, error } = await untilEnd('broken');
  assert.deepEqual([state, error.code], ['failed', 'unsupported_model']);
  assert.match(error.message, /^The base model broken cannot be used until the operator/);
  assert.ok(!(await idsOf(bench.acme)).includes('broken'));
  assertError(await add({ id: 'broken', folder: place }), 400, 'base_model_exists', 'id');
});

test('one that failed can be fetched again after it was fixed', async () => {
  const retry = async (id: string) => await operator.send('POST', `${list}/${encodeURIComponent(id)}/retry`);
  const config = path.join(folder, 'fixed', 'config.json');
  await writeTinyModel(path.join(folder, 'fixed'));
  const right = await readFile(config);
  await writeFile(config, '{"model_type": "nonesuch"}');
  await operator.send('POST', list, { id: 'our/fixed', folder: path.dirname(config) });
  assert.equal((await untilEnd('our/fixed')).state, 'failed');
  await writeFile(config, right);
  const answers = await Promise.all([retry('our/fixed'), retry('our/fixed')]);
  const [taken, late] = answers.toSorted((a, b) => a.status - b.status);
  assert.equal(taken!.status, 200, taken!.text);
  assert.ok(['queued', 'fetching', 'ready'].includes(taken!.json.state));
  assertError(late!, 400, 'base_model_not_failed', 'base_model_id');
  assert.equal((await untilEnd('our/fixed')).state, 'ready');
  assertError(await retry('our/fixed'), 400, 'base_model_not_failed', 'base_model_id');
  for (const id of ['none', 'tiny']) assertError(await retry(id), 404, 'unknown_base_model', 'base_model_id');
  const audit = { action: 'base_model.retry', target: 'our/fixed' };
  assert.equal(await bench.services.db.auditEntry.count({ where: { ...audit, keyId: { not: null } } }), 1);
  assert.equal((await operator.send('DELETE', `${list}/our%2Ffixed`)).status, 200);
});

test('the list has the configuration’s first and is paged; a key of a team reads none of it', async () => {
  const all = (await operator.send('GET', `${list}?limit=1000`)).json.data;
  assert.deepEqual(
    all.map(({ id, source, state }: Record<string, string>) => [id, source, state]),
    [
      ['smollm2-135m-instruct', 'bundled', 'configured'],
      ['all-minilm-l6-v2', 'bundled', 'configured'],
      ['tiny', 'operator', 'configured'],
      ['broken', 'folder', 'failed'],
    ],
  );
  const page = (await operator.send('GET', `${list}?limit=1&after=all-minilm-l6-v2`)).json;
  assert.deepEqual([page.data.length, page.data[0].id, page.has_more], [1, 'tiny', true]);
  assertError(await operator.send('GET', `${list}?after=none`), 400, 'invalid_cursor', 'after');
  const admin = await bench.caller(bench.acme, 'admin');
  for (const [method, at] of [
    ['GET', list],
    ['POST', list],
    ['GET', `${list}/tiny`],
    ['DELETE', `${list}/tiny`],
    ['POST', `${list}/tiny/allow`],
    ['POST', `${list}/broken/retry`],
  ] as const) {
    assertError(await admin.send(method, at, method === 'POST' ? {} : undefined), 403, 'operator_required');
  }
});
