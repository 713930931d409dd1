// Tests of the form for new jobs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { methods, peftTypes } from '@graft/peft-core/config';
import { formats } from '@graft/peft-core/formats';
import { setQuota } from '@graft/service/teams';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

const get = async (query = '', team: Caller = bench.acme) =>
  await team.send('GET', `/v1/fine_tuning/options${query}`);

test('every method with its schema, and those of the other options', async () => {
  const { status, json, text } = await get();
  assert.equal(status, 200, text);
  assert.equal(json.model, null);
  assert.deepEqual(
    json.methods.map(({ peft_type }: { peft_type: string }) => peft_type),
    peftTypes,
  );
  for (const method of json.methods) {
    const { title, schema } = methods[method.peft_type as keyof typeof methods];
    assert.equal(method.title, title);
    assert.deepEqual(Object.keys(method.options.properties), Object.keys(schema.properties));
    assert.equal(method.permitted, true);
    for (const option of method.module_options) assert.ok(option in schema.properties, option);
  }
  assert.deepEqual(
    json.formats,
    formats.map(({ name, title, sample, tasks }) => ({ name, title, sample, tasks })),
  );
  assert.equal(json.training.properties.n_epochs.maximum, 50);
  assert.ok('learning_rate_multiplier' in json.hyperparameters.properties);
  assert.ok('peft_type' in json.sweep.properties);
});

test('the modules of a model, each kind once, and what it can be trained for', async () => {
  const { model } = (await get('?model=tiny')).json;
  assert.deepEqual([model.id, model.model_type, model.context_length], ['tiny', 'llama', 64]);
  assert.deepEqual([model.task_type, model.start_from, model.peft], ['CAUSAL_LM', null, null]);
  assert.ok(model.tasks.includes('SEQ_CLS') && !model.tasks.includes('SEQ_2_SEQ_LM'), model.tasks);
  const named = (name: string) => model.modules.find((each: { name: string }) => each.name === name);
  assert.deepEqual(
    [named('q_proj').kind, named('q_proj').count, named('q_proj').all_linear],
    ['linear', model.layers, true],
  );
  assert.equal(named('lm_head').all_linear, false);
  assert.equal(named('embed_tokens').kind, 'embedding');
  const names = model.modules.map(({ name }: { name: string }) => name);
  assert.equal(new Set(names).size, names.length);
});

test('of an adapter to continue from, but not of another team', async () => {
  const { version } = await publishAdapter(bench, bench.acme, 'started');
  const { modelName } = version;
  for (const query of [`?model=${modelName}`, `?model=tiny&start_from=${modelName}`]) {
    const { model } = (await get(query)).json;
    assert.deepEqual([model.id, model.start_from, model.peft.peft_type], ['tiny', modelName, 'LORA']);
  }
  assertError(await get(`?model=${modelName}`, bench.other), 400, 'model_not_found', 'model');
  assertError(await get(`?model=tiny&start_from=${modelName}`, bench.other), 400, 'model_not_found');
});

test('options that the quota does not permit are listed, and the scope is required', async () => {
  await setQuota(bench.services, bench.other.teamId, { methods: ['IA3'] });
  const { json } = await get('', bench.other);
  const permitted = json.methods.filter((each: { permitted: boolean }) => each.permitted);
  assert.deepEqual(
    permitted.map(({ peft_type }: { peft_type: string }) => peft_type),
    ['IA3'],
  );
  const viewer = await bench.caller(bench.acme, 'viewer');
  assert.equal((await get('', viewer)).status, 200);
  const narrow = await bench.caller(bench.acme, 'member', { scopes: ['files:read'] });
  assertError(await get('', narrow), 403, 'insufficient_scope');
});

test('invalid requests are refused', async () => {
  assertError(await get('?model=none'), 400, 'model_not_found', 'model');
  assertError(await get('?start_from=ft:x'), 400, 'missing_required_parameter', 'model');
  assertError(await get('?modl=x'), 400, 'unknown_parameter', 'modl');
  assertError(await get(`?model=${'x'.repeat(300)}`), 400, 'invalid_value', 'model');
});
