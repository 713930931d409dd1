import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { getJob } from '@graft/service/jobs';
import { assertError } from '../testing/assert-error.ts';
import { type JobRequests, jobRequests, jobsPath as path } from '../testing/job-requests.ts';
import { type ApiBench, chatLine, openApiBench } from '../testing/open-api-bench.ts';
import { publishAdapter } from '../testing/publish-adapter.ts';

let bench: ApiBench;
let file: string;
let create: JobRequests['create'];
let refuses: JobRequests['refuses'];
before(async () => {
  bench = await openApiBench();
  file = await bench.acme.upload(`${chatLine}\n`.repeat(3));
  ({ create, refuses } = jobRequests(bench, file));
});
after(async () => await bench?.close());

const idsOf = async (query: string, caller = bench.acme): Promise<string[]> => {
  const answer = await caller.send('GET', `${path}?limit=100&${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json.data.map(({ id }: { id: string }) => id);
};

test('metadata has OpenAI’s limits', async () => {
  const pairs = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));
  const largest = { ...pairs(14), ['k'.repeat(64)]: 'v'.repeat(512), empty: '' };
  const answer = await create({ metadata: largest });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(answer.json.metadata, largest);
  await refuses({ metadata: pairs(17) }, 'invalid_value', 'metadata');
  for (const bad of [{ ['k'.repeat(65)]: 'v' }, { '': 'v' }, { k: 'v'.repeat(513) }, { k: 1 }])
    await refuses({ metadata: bad }, 'invalid_value');
});

test('lists of jobs are filtered by status, model, metadata and time, and paged', async () => {
  const made: string[] = [];
  for (const run of ['one', 'two', 'two']) {
    const { json } = await create({ metadata: { run, 'it’s "x"': '%_' } });
    made.unshift(json.id);
    await bench.untilState(json.id, 'queued');
  }
  const [third, second, first] = made as [string, string, string];
  await bench.services.sql.query(
    `UPDATE jobs SET created_at = '2026-01-01T00:00:00Z'::timestamptz + make_interval(secs => $2) WHERE id = $1`,
    [first, 10],
  );
  const key = encodeURIComponent('it’s "x"');
  assert.deepEqual(await idsOf('metadata[run]=two'), [third, second]);
  assert.deepEqual(await idsOf(`metadata[run]=two&metadata[${key}]=${encodeURIComponent('%_')}`), [
    third,
    second,
  ]);
  assert.deepEqual(await idsOf('metadata[run]=t%25'), []);
  assert.deepEqual(await idsOf('metadata[run]=two', bench.other), []);
  assert.equal((await bench.acme.send('POST', `${path}/${second}/cancel`)).json.status, 'cancelled');
  assert.deepEqual(await idsOf('metadata[run]=two&status=cancelled'), [second]);
  assert.deepEqual(await idsOf('metadata[run]=two&status=queued'), [third]);
  assert.deepEqual(await idsOf('metadata[run]=two&model=tiny'), [third, second]);
  assert.deepEqual(await idsOf('model=another'), []);
  const began = Date.UTC(2026, 0, 1) / 1000;
  assert.deepEqual(await idsOf(`created_before=${began + 11}`), [first]);
  assert.deepEqual(await idsOf(`created_after=${began + 10}&created_before=${began + 11}`), [first]);
  assert.deepEqual(await idsOf(`created_before=${began + 10}`), []);
  assert.deepEqual(await idsOf(`created_after=${began + 11}&metadata[run]=two`), [third, second]);
  const page = await bench.acme.send('GET', `${path}?limit=1&metadata[run]=two`);
  assert.deepEqual([page.json.data[0].id, page.json.has_more], [third, true]);
  assert.deepEqual(await idsOf(`metadata[run]=two&after=${third}`), [second]);
  for (const bad of ['status=dispatched', 'created_after=x', 'created_after=1e3', 'model=', 'colour=red'])
    assert.equal((await bench.acme.send('GET', `${path}?${bad}`)).status, 400, bad);
});

test('files and adapters are filtered, too', async () => {
  const { acme, other } = bench;
  const files = async (query: string, caller = acme) =>
    (await caller.send('GET', `/v1/files?${query}`)).json.data.length;
  assert.ok((await files('filename=train.jsonl')) >= 1);
  assert.equal(await files('filename=other.jsonl'), 0);
  assert.equal(await files('created_before=1000'), 0);
  await publishAdapter(bench, acme, 'filtered');
  const names = async (query: string, caller = acme) =>
    (await caller.send('GET', `/v1/adapters?${query}`)).json.data.map(({ name }: { name: string }) => name);
  assert.deepEqual(await names('name=filtered&base_model=tiny'), ['filtered']);
  assert.deepEqual(await names('name=filtered&base_model=large'), []);
  assert.deepEqual(await names('name=filtered&created_before=1000'), []);
  assert.deepEqual(await names('name=filtered', other), []);
});

test('the request that makes a job again leaves out what was left to Graft', async () => {
  const { acme, other } = bench;
  const training_file = await acme.upload(`${chatLine}\n`.repeat(8));
  const asked = { model: 'tiny', training_file, suffix: 'again', training: { n_epochs: 2 }, seed: 7 };
  const { id } = (await acme.send('POST', path, asked)).json;
  await bench.untilState(id, 'queued');
  const { status, json, text } = await acme.send('GET', `${path}/${id}/request`);
  assert.equal(status, 200, text);
  const { model, suffix, training, seed } = json;
  assert.deepEqual({ model, training_file: json.training_file, suffix, training, seed }, asked);
  const made = await acme.send('POST', path, json);
  assert.equal(made.status, 200, made.text);
  assert.deepEqual((await acme.send('GET', `${path}/${made.json.id}/request`)).json, json);
  assertError(await other.send('GET', `${path}/${id}/request`), 404, 'job_not_found');
});

test('a clone has the requested options of the job, except for the overrides', async () => {
  const { acme, other } = bench;
  const original = await create({
    suffix: 'first',
    seed: 7,
    metadata: { a: '1' },
    method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2, batch_size: 'auto' } } },
    peft: { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: ['q_proj'] },
    training: { max_seq_length: 32, seed: 7 },
  });
  assert.equal(original.status, 200, original.text);
  await bench.untilState(original.json.id, 'queued');
  const before = (await acme.send('GET', `${path}/${original.json.id}`)).json;
  const clone = async (changes: object, caller = acme, headers = {}) =>
    await caller.send('POST', `${path}/${before.id}/clone`, changes, headers);
  const settled = async (changes: object) => {
    const answer = await clone(changes);
    assert.equal(answer.status, 200, answer.text);
    await bench.untilState(answer.json.id, 'queued');
    return (await acme.send('GET', `${path}/${answer.json.id}`)).json;
  };
  const same = await settled({});
  assert.notEqual(same.id, before.id);
  for (const name of ['model', 'training_file', 'seed', 'metadata', 'peft', 'training', 'hyperparameters'])
    assert.deepEqual(same[name], before[name], name);

  const changed = await settled({
    suffix: null,
    seed: 8,
    metadata: { b: '2' },
    hyperparameters: { n_epochs: 3 },
    peft: { r: 8 },
    training: { lr_scheduler_type: 'linear' },
  });
  assert.deepEqual([changed.seed, changed.training.seed, changed.metadata], [8, 8, { b: '2' }]);
  assert.deepEqual(
    [changed.peft.r, changed.peft.lora_alpha, changed.peft.target_modules],
    [8, 8, ['q_proj']],
  );
  assert.deepEqual([changed.hyperparameters.n_epochs, changed.hyperparameters.batch_size], [3, 3]);
  assert.deepEqual([changed.training.lr_scheduler_type, changed.training.max_seq_length], ['linear', 32]);
  assert.equal((await settled({ training: { seed: 9 } })).seed, 9);
  assert.equal((await settled({ peft: { peft_type: 'IA3' } })).peft.peft_type, 'IA3');
  assert.notEqual((await settled({ seed: null })).seed, 7);

  assertError(await clone({ peft: { r: -1 } }), 400, 'invalid_peft_config', 'peft.r');
  assertError(await clone({ colour: 'red' }), 400, 'unknown_parameter', 'colour');
  assertError(await clone({ training_file: await other.upload(chatLine) }), 400, 'file_not_found');
  assertError(await clone({}, other), 404, 'job_not_found');
  const unknown = await acme.send('POST', `${path}/ftjob-${'x'.repeat(24)}/clone`, {});
  const foreign = await clone({}, other);
  assert.equal(unknown.text.replaceAll('x'.repeat(24), ''), foreign.text.replaceAll(before.id.slice(6), ''));
  assertError(await clone({}, await bench.caller(acme, 'viewer')), 403, 'insufficient_role');
  const writes = await bench.caller(acme, 'member', { scopes: ['jobs:write'] });
  assertError(await clone({}, writes), 403, 'insufficient_scope');
});

test('every method’s job can be cloned', async () => {
  const configs: Record<string, unknown>[] = [
    { peft_type: 'LORA', use_dora: true, trainable_token_indices: [1, 2] },
    { peft_type: 'BOTTLENECK', preset: 'double_seq_bn' },
    { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4, prefix_projection: true, encoder_hidden_size: 8 },
    { peft_type: 'P_TUNING', num_virtual_tokens: 4, encoder_reparameterization_type: 'LSTM' },
    { peft_type: 'SELECTIVE', kinds: ['norm'] },
  ];
  for (const peft of configs) {
    const { json } = await create({ peft });
    const clone = await bench.acme.send('POST', `${path}/${json.id}/clone`, {});
    assert.equal(clone.status, 200, clone.text);
    assert.deepEqual(clone.json.peft, json.peft);
  }
});

test('an Idempotency-Key stands for one job, a day long, for clones too', async () => {
  const { acme, other } = bench;
  const key = { 'idempotency-key': 'k-1' };
  const first = await create({ suffix: 'once' }, key);
  const again = await create({ suffix: 'once' }, key);
  assert.equal(again.json.id, first.json.id);
  assert.equal(again.headers.get('idempotent-replayed'), 'true');
  assertError(await create({ suffix: 'twice' }, key), 422, 'idempotency_key_reused');
  const theirs = { model: 'tiny', training_file: await other.upload(chatLine) };
  assert.equal((await other.send('POST', path, theirs, key)).status, 200);

  await bench.services.sql.query(
    `UPDATE idempotency_keys SET created_at = now() - interval '25 hours' WHERE team_id = $1`,
    [acme.teamId],
  );
  const next = await create({ suffix: 'twice' }, key);
  assert.equal(next.status, 200, next.text);
  assert.notEqual(next.json.id, first.json.id);

  const cloneKey = { 'idempotency-key': 'k-2' };
  const clone = async (changes: object) =>
    await acme.send('POST', `${path}/${first.json.id}/clone`, changes, cloneKey);
  const made = await clone({ seed: 3 });
  assert.equal((await clone({ seed: 3 })).json.id, made.json.id);
  assertError(await clone({ seed: 4 }), 422, 'idempotency_key_reused');
});

test('a job continues from an adapter version, by name, tag or id, and keeps it from being deleted', async () => {
  const { acme, other } = bench;
  const { version } = await publishAdapter(bench, acme, 'start');
  const adapter = `/v1/adapters/${version.adapterId}`;
  const tagged = await acme.send('POST', `${adapter}/tags`, { tag: 'production', version: 1 });
  assert.equal(tagged.status, 200, tagged.text);
  const asked: object[] = [
    { start_from: version.modelName },
    { start_from: tagged.json.model },
    { start_from: version.id },
    { model: version.modelName },
    { model: tagged.json.model, start_from: version.id, peft: { peft_type: 'LORA', r: 16 } },
  ];
  const ids: string[] = [];
  for (const request of asked) {
    const answer = await create(request);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual([answer.json.model, answer.json.start_from], ['tiny', version.modelName]);
    assert.deepEqual(answer.json.peft, version.peft);
    const job = (await getJob(bench.services, acme.teamId, answer.json.id))!;
    assert.equal(job.startFromId, version.id);
    await bench.untilState(job.id, 'queued');
    ids.push(job.id);
  }
  await refuses({ start_from: version.modelName, peft: { r: 64 } }, 'invalid_start', 'peft.r');
  await refuses(
    { start_from: version.modelName, peft: { peft_type: 'IA3' } },
    'invalid_start',
    'peft.peft_type',
  );
  await refuses({ start_from: 'ft:tiny:acme:none:12345678' }, 'model_not_found', 'start_from');
  await refuses({ model: 'ft:tiny:acme:none:12345678' }, 'model_not_found', 'model');
  const second = await publishAdapter(bench, acme, 'second');
  await refuses(
    { model: version.modelName, start_from: second.version.modelName },
    'invalid_start',
    'start_from',
  );
  const theirs = {
    model: 'tiny',
    training_file: await other.upload(chatLine),
    start_from: version.modelName,
  };
  const foreign = assertError(await other.send('POST', path, theirs), 400, 'model_not_found', 'start_from');
  const unknown = await other.send('POST', path, { ...theirs, start_from: 'ft:tiny:acme:start:00000000' });
  assert.equal(
    foreign.replace(version.modelName, ''),
    assertError(unknown, 400, 'model_not_found').replace('ft:tiny:acme:start:00000000', ''),
  );
  const limited = await bench.caller(acme, 'member', { models: ['tiny'] });
  const mine = { model: 'tiny', training_file: file, start_from: version.modelName };
  assertError(await limited.send('POST', path, mine), 403, 'model_not_allowed');

  // The held-out examples of the adapter's training stay held out.
  await bench.services.sql.query(
    `UPDATE adapter_versions SET lineage = lineage || '{"training":{"validation_seed":7}}' WHERE id = $1`,
    [version.id],
  );
  const splitSeed = async (training: object) => {
    const { json } = await create({ start_from: version.id, training });
    ids.push(json.id);
    return json.training.validation_seed;
  };
  assert.equal(await splitSeed({ validation_split: 0.5 }), 7);
  assert.equal(await splitSeed({ validation_split: 0.5, validation_seed: 8 }), 8);

  // The adapter's own chat template stays its template.
  const template =
    "{% for i in range(20) %}x{% endfor %}{% for m in messages %}{{ m.role + ': ' + m.content + '</s>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";
  await bench.services.sql.query(
    `UPDATE adapter_versions SET lineage = lineage || jsonb_build_object('training', jsonb_build_object('chat_template', $2::text)) WHERE id = $1`,
    [version.id, template],
  );
  const body = { model: 'tiny', training_file: file, start_from: version.id };
  const planned = await acme.send('POST', '/v1/fine_tuning/checks', body);
  assert.deepEqual(planned.json.faults, []);
  assert.equal(
    planned.json.plan.training_reasons.chat_template,
    'that of the adapter that training continues from',
  );
  const resolved = async (training: object) => {
    const { json } = await create({ start_from: version.id, training });
    ids.push(json.id);
    await bench.untilState(json.id, 'queued');
    const { training: used, training_reasons: reasons } = (await acme.send('GET', `${path}/${json.id}`)).json;
    return [used.chat_template, reasons.chat_template, used.max_seq_length > 30];
  };
  const why = 'that of the adapter that training continues from';
  assert.deepEqual(await resolved({}), [template, why, true]);
  const brought = template.replace('range(20)', 'range(1)');
  assert.deepEqual(await resolved({ chat_template: brought }), [brought, undefined, false]);

  // A clone starts from the same adapter by default.
  const clone = await acme.send('POST', `${path}/${ids[0]}/clone`, {});
  assert.equal(clone.json.start_from, version.modelName);
  const fresh = await acme.send('POST', `${path}/${ids[0]}/clone`, { start_from: null });
  assert.deepEqual([fresh.json.start_from, fresh.json.peft], [null, version.peft]);
  const elsewhere = await acme.send('POST', `${path}/${ids[0]}/clone`, { start_from: second.version.id });
  assert.equal(elsewhere.json.start_from, second.version.modelName);

  await acme.send('DELETE', `${adapter}/tags/production`);
  const message = assertError(await acme.send('DELETE', `${adapter}/versions/1`), 400, 'adapter_in_use');
  assert.match(message, /^ftjob-\w+ starts from ft:tiny:acme:start:/);
  for (const id of [...ids, clone.json.id]) await acme.send('POST', `${path}/${id}/cancel`);
  assert.equal((await acme.send('DELETE', `${adapter}/versions/1`)).status, 200);
  await refuses({ start_from: version.modelName }, 'model_not_found', 'start_from');
});
