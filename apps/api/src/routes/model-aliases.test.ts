import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../testing/open-api-bench.ts';
import { publishAdapter } from '../testing/publish-adapter.ts';
import { done, says, scriptedWorkers, token } from '../testing/scripted-worker.ts';

let bench: ApiBench;
let acme: Caller;
/** Model names of two versions of an adapter, and of a tag that points at the first. */
let first: string;
let second: string;
const tag = 'ft:tiny:acme:poet:production';

before(async () => {
  bench = await openApiBench();
  ({ acme } = bench);
  const { version } = await publishAdapter(bench, acme, 'poet');
  first = version.modelName;
  second = (await publishAdapter(bench, acme, 'poet')).version.modelName;
  const tagged = await acme.send('POST', `/v1/adapters/${version.adapterId}/tags`, {
    tag: 'production',
    version: 1,
  });
  assert.equal(tagged.status, 200, tagged.text);
});
after(async () => await bench?.close());
const { start, closeAll } = scriptedWorkers(() => bench.services);
afterEach(closeAll);

const messages = [{ role: 'user', content: 'Hi' }];
const point = async (alias: string, target: string, by = acme) =>
  await by.send('POST', `/v1/model_aliases/${encodeURIComponent(alias)}`, { target });
const chat = async (model: string, by = acme) =>
  await by.send('POST', '/v1/chat/completions', { model, messages });

async function pointed(alias: string, target: string): Promise<void> {
  const { status, text } = await point(alias, target);
  assert.equal(status, 200, text);
}

test('chats, completions and streams reach the model of an alias, and name it', async () => {
  const worker = await start(says(token('a'), done()));
  for (const target of ['tiny', first, tag]) {
    await pointed('gpt-4o-mini', target);
    const { json } = await chat('gpt-4o-mini');
    assert.equal(json.model, target);
    const completed = await acme.send('POST', '/v1/completions', { model: 'gpt-4o-mini', prompt: 'a' });
    assert.equal(completed.json.model, target);
    const body = { model: 'gpt-4o-mini', messages, stream: true };
    const streamed = await acme.send('POST', '/v1/chat/completions', body);
    assert.ok(streamed.text.includes(`"model":"${target}"`), streamed.text);
  }
  const asked = worker.requests.map(({ base_model, adapter: one }) => [base_model, one !== null]);
  assert.deepEqual(asked.slice(0, 4), [
    ['tiny', false],
    ['tiny', false],
    ['tiny', false],
    ['tiny', true],
  ]);
});

test('a job starts from the model of an alias', async () => {
  await pointed('gpt-4o-mini', 'tiny');
  const training_file = await acme.upload(chatLine);
  const body = { model: 'gpt-4o-mini', training_file };
  assert.deepEqual((await acme.send('POST', '/v1/fine_tuning/checks', body)).json.faults, []);
  const job = await acme.send('POST', '/v1/fine_tuning/jobs', body);
  assert.deepEqual([job.status, job.json.model], [200, 'tiny'], job.text);
  await pointed('gpt-4o-mini', second);
  const next = await acme.send('POST', '/v1/fine_tuning/jobs', body);
  assert.deepEqual([next.json.model, next.json.start_from?.model ?? next.json.start_from], ['tiny', second]);
  assert.equal((await acme.send('GET', '/v1/fine_tuning/options?model=gpt-4o-mini')).status, 200);
});

test('a job for an unknown model of OpenAI or the Hub names one that an operator can add', async () => {
  const refusal = async (model: string): Promise<string> => {
    const { status, json } = await acme.send('POST', '/v1/fine_tuning/jobs', {
      model,
      training_file: 'file-none',
    });
    assert.deepEqual([status, json.error.code], [400, 'model_not_found']);
    return json.error.message;
  };
  const add = 'graft admin base-models add qwen3-14b --hub Qwen/Qwen3-14B';
  assert.ok(
    (await refusal('gpt-4o-2024-08-06')).endsWith(
      `${add}, and your team name it: graft models alias gpt-4o-2024-08-06 qwen3-14b`,
    ),
  );
  assert.ok(
    (await refusal('Qwen/Qwen3-14B')).endsWith(`An operator can add it (15.8 GB to train in nf4): ${add}`),
  );
  assert.match(await refusal('unknown'), /Base models: [^.]*\.$/);
});

test('aliases are listed, retrieved, moved and deleted, which the audit log records', async () => {
  await pointed('list-me', first);
  await pointed('list-me', second);
  await pointed('base-alias', 'tiny');
  const { json: alias } = await acme.send('GET', '/v1/model_aliases/list-me');
  assert.deepEqual([alias.id, alias.object, alias.target], ['list-me', 'model.alias', second]);
  const { json: all } = await acme.send('GET', '/v1/model_aliases');
  assert.deepEqual(
    all.data.filter(({ id }: { id: string }) => id === 'list-me'),
    [alias],
  );
  const { json: model } = await acme.send('GET', '/v1/models/list-me');
  assert.deepEqual(
    [model.id, model.alias_of, model.base_model, model.adapter.version, model.owned_by],
    ['list-me', second, 'tiny', 2, acme.teamId],
  );
  const { data: models } = (await acme.send('GET', '/v1/models')).json;
  assert.deepEqual(
    models.find(({ id }: { id: string }) => id === 'list-me'),
    model,
  );
  const base = models.find(({ id }: { id: string }) => id === 'base-alias');
  assert.deepEqual([base.base_model, base.alias_of, base.adapter], ['tiny', 'tiny', null]);
  const pages: string[] = [];
  for (let last = ''; ; last = `&after=${encodeURIComponent(pages.at(-1)!)}`) {
    const { json } = await acme.send('GET', `/v1/models?limit=1${last}`);
    pages.push(json.data[0].id);
    if (!json.has_more) break;
  }
  assert.deepEqual(
    pages,
    models.map(({ id }: { id: string }) => id),
  );
  assertError(await acme.send('DELETE', '/v1/models/list-me'), 400, 'model_not_deletable', 'model');
  assert.equal((await acme.send('DELETE', '/v1/model_aliases/list-me')).json.deleted, true);
  assertError(await acme.send('DELETE', '/v1/model_aliases/list-me'), 404, 'model_alias_not_found', 'alias');
  assertError(await chat('list-me'), 404, 'model_not_found', 'model');
  const audit = await bench.services.db.auditEntry.findMany({
    where: { teamId: acme.teamId, target: 'list-me' },
    orderBy: { id: 'asc' },
  });
  assert.deepEqual(
    audit.map(({ action, detail }) => [action, detail]),
    [
      ['model_alias.set', { model: first, previous: null }],
      ['model_alias.set', { model: second, previous: first }],
      ['model_alias.delete', { model: second }],
    ],
  );
});

describe('refused', () => {
  test('an alias of an alias, of itself or under the name of a base model', async () => {
    await pointed('one', 'tiny');
    for (const name of ['two', 'one', 'three']) {
      const target = name === 'three' ? 'three' : 'one';
      assert.match(
        assertError(await point(name, target), 400, 'invalid_value', 'target'),
        /is an alias, and/,
      );
    }
    assertError(await point('tiny', first), 400, 'invalid_value', 'alias');
    assert.equal((await acme.send('GET', '/v1/model_aliases/one')).json.target, 'tiny');
  });

  test('names that could be those of other models, or are too long', async () => {
    for (const name of ['a:b', 'ft:x', 'a b', '-a', 'a/b', 'x'.repeat(65), 'é'])
      assertError(await point(name, 'tiny'), 400, 'invalid_value', 'alias');
    for (const name of ['gpt-3.5-turbo', 'o1', 'x'.repeat(64)]) await pointed(name, 'tiny');
  });

  test('one alias too many', async () => {
    const { db } = bench.services;
    const there = await db.modelAlias.count({ where: { teamId: acme.teamId } });
    const filled = Array.from({ length: 100 - there }, (_, i) => ({ name: `fill-${i}`, target: 'tiny' }));
    await db.modelAlias.createMany({ data: filled.map((row) => ({ ...row, teamId: acme.teamId })) });
    assertError(await point('too-many', 'tiny'), 400, 'invalid_value', 'alias');
    await pointed('fill-0', first);
    await db.modelAlias.deleteMany({ where: { teamId: acme.teamId, name: { startsWith: 'fill-' } } });
  });

  test('the model of another team, as one that does not exist; its aliases are unknown', async () => {
    const foreign = await point('mine', first, bench.other);
    const unknown = await point('mine', first.replace(/.{8}$/, '00000000'), bench.other);
    assert.equal(
      assertError(foreign, 404, 'model_not_found', 'target').replace(first, ''),
      assertError(unknown, 404, 'model_not_found', 'target').replace(first.replace(/.{8}$/, '00000000'), ''),
    );
    await pointed('private', 'tiny');
    for (const [method, path] of [
      ['GET', '/v1/model_aliases/private'],
      ['DELETE', '/v1/model_aliases/private'],
    ] as const)
      assertError(await bench.other.send(method, path), 404, 'model_alias_not_found');
    assertError(await chat('private', bench.other), 404, 'model_not_found');
    assertError(await bench.other.send('GET', '/v1/models/private'), 404, 'model_not_found');
    assert.ok(!(await bench.other.send('GET', '/v1/models')).text.includes('private'));
    assert.equal((await point('private', 'tiny', bench.other)).status, 200);
  });

  test('an alias does not widen a limited key, whose error does not show the target', async () => {
    const limited = await bench.caller(acme, 'member', { models: [first, 'hidden'] });
    await pointed('allowed', first);
    await pointed('hidden', second);
    await start(says(token('a'), done()));
    assert.equal((await chat('allowed', limited)).status, 200);
    const message = assertError(await chat('hidden', limited), 403, 'model_not_allowed', 'model');
    assert.ok(message.includes("'hidden'") && !message.includes(second), message);
    const training_file = await limited.upload(chatLine);
    const body = { model: 'hidden', training_file };
    for (const path of ['/v1/fine_tuning/jobs', '/v1/fine_tuning/estimates'])
      assertError(await limited.send('POST', path, body), 403, 'model_not_allowed', 'model');
    const { faults } = (await limited.send('POST', '/v1/fine_tuning/checks', body)).json;
    assert.equal(faults[0].code, 'model_not_allowed');
    assert.ok(!(await limited.send('GET', '/v1/models')).text.includes(second));
  });

  test('a viewer reads aliases and sets none', async () => {
    const viewer = await bench.caller(acme, 'viewer');
    assert.equal((await viewer.send('GET', '/v1/model_aliases')).status, 200);
    assert.equal((await point('by-viewer', 'tiny', viewer)).status, 403);
  });
});

test('an alias whose version is deleted says so, and works again when it is restored', async () => {
  const { modelName, adapterId } = (await publishAdapter(bench, acme, 'short')).version;
  const version = `/v1/adapters/${adapterId}/versions/1`;
  await pointed('gone', modelName);
  assert.equal((await acme.send('DELETE', version)).status, 200);
  const message = assertError(await chat('gone'), 404, 'model_not_found', 'model');
  assert.equal(message, `The model '${modelName}' does not exist; the alias 'gone' points at it.`);
  assertError(await acme.send('GET', '/v1/models/gone'), 404, 'model_not_found');
  assert.ok(!(await acme.send('GET', '/v1/models')).text.includes('"gone"'));
  assert.equal((await acme.send('GET', '/v1/model_aliases/gone')).json.target, modelName);
  assert.equal((await acme.send('POST', `${version}/restore`)).status, 200);
  await start(says(token('a'), done()));
  assert.equal((await chat('gone')).json.model, modelName);
});
