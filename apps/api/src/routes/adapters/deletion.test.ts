import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AdapterVersion } from '@graft/service/adapters';
import { filesOf, sendAdapter, soundAdapter } from '../../testing/adapter-parts.ts';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';

let bench: ApiBench;
let versions: AdapterVersion[];
let path: string;
before(async () => {
  bench = await openApiBench();
  versions = [];
  for (const suffix of ['poet', 'poet'])
    versions.push((await publishAdapter(bench, bench.acme, suffix)).version);
  path = `/v1/adapters/${versions[0]!.adapterId}`;
});
after(async () => await bench?.close());

const deletedNow = async () =>
  (await bench.acme.send('GET', '/v1/adapters/deleted')).json.data.map(
    (each: { model: string }) => each.model,
  );

test('a deleted version is as unknown as none, until it is restored', async () => {
  const { acme, other } = bench;
  const { modelName } = versions[1]!;
  const before = (await acme.send('GET', `${path}/versions/2`)).json;
  assertError(await other.send('DELETE', `${path}/versions/2`), 404, 'adapter_not_found');
  const viewer = await bench.caller(acme, 'viewer');
  assertError(await viewer.send('DELETE', `${path}/versions/2`), 403, 'insufficient_role');
  assert.equal((await acme.send('DELETE', `${path}/versions/2`)).json.versions, 1);
  assertError(await acme.send('DELETE', `${path}/versions/2`), 404, 'adapter_version_not_found');

  for (const tail of ['', '/download', '/lineage']) {
    const gone = await acme.send('GET', `${path}/versions/2${tail}`);
    assertError(gone, 404, 'adapter_version_not_found');
    const never = await acme.send('GET', `${path}/versions/3${tail}`);
    assert.equal(gone.text.replace('version 2', 'version 3'), never.text);
  }
  assertError(
    await acme.send('POST', `${path}/versions/2/note`, { note: 'x' }),
    404,
    'adapter_version_not_found',
  );
  assertError(await acme.send('GET', `/v1/models/${modelName}`), 404, 'model_not_found');
  assertError(await acme.send('DELETE', `/v1/models/${modelName}`), 404, 'model_not_found');
  const prompt = { model: modelName, prompt: 'a' };
  assertError(await acme.send('POST', '/v1/completions', prompt), 404, 'model_not_found');
  const compared = `/v1/adapters/compare?a=${modelName}&b=${modelName}`;
  assertError(await acme.send('GET', compared), 404, 'model_not_found', 'a');
  assertError(
    await acme.send('POST', `${path}/tags`, { tag: 'a', version: 2 }),
    404,
    'adapter_version_not_found',
  );
  const parent = await sendAdapter(acme, filesOf(await soundAdapter(bench)), { parent: modelName });
  assertError(parent, 404, 'model_not_found');
  assert.equal((await acme.send('GET', path)).json.latest_version, 1);
  assert.equal((await acme.send('GET', `${path}/versions`)).json.data.length, 1);
  const models = (await acme.send('GET', '/v1/models')).json.data;
  assert.ok(!models.some(({ id }: { id: string }) => id === modelName));

  const [listed] = (await acme.send('GET', '/v1/adapters/deleted')).json.data;
  assert.equal(listed.model, modelName);
  assert.equal(listed.restorable_until - listed.deleted_at, 30 * 24 * 3600);
  assert.deepEqual((await other.send('GET', '/v1/adapters/deleted')).json.data, []);
  assertError(await other.send('POST', `${path}/versions/2/restore`), 404, 'adapter_not_deleted');
  assertError(await viewer.send('POST', `${path}/versions/2/restore`), 403, 'insufficient_role');
  const restored = await acme.send('POST', `${path}/versions/2/restore`);
  assert.deepEqual(restored.json, before, restored.text);
  assertError(await acme.send('POST', `${path}/versions/2/restore`), 404, 'adapter_not_deleted');
  assert.deepEqual((await acme.send('GET', `${path}/versions/2`)).json, before);
  assert.deepEqual(await deletedNow(), []);
});

test('what has a tag is not deleted, by whichever way', async () => {
  const { acme } = bench;
  await acme.send('POST', `${path}/tags`, { tag: 'production', version: 1 });
  for (const way of [`${path}/versions/1`, path, `/v1/models/${versions[0]!.modelName}`]) {
    assert.match(
      assertError(await acme.send('DELETE', way), 400, 'adapter_tagged'),
      /:production points at it/,
    );
  }
  // Exactly one of a concurrent tag and deletion succeeds.
  await acme.send('DELETE', `${path}/tags/production`);
  for (let i = 0; i < 5; i++) {
    const [tagged, deleted] = await Promise.all([
      acme.send('POST', `${path}/tags`, { tag: 'race', version: 2 }),
      acme.send('DELETE', `${path}/versions/2`),
    ]);
    assert.equal(
      Number(tagged.status === 200) + Number(deleted.status === 200),
      1,
      `${tagged.text} ${deleted.text}`,
    );
    await acme.send('DELETE', `${path}/tags/race`);
    await acme.send('POST', `${path}/versions/2/restore`);
  }
});

test('an adapter is deleted whole, and comes back version by version', async () => {
  const { acme } = bench;
  assert.equal((await acme.send('DELETE', path)).json.versions, 2);
  assertError(await acme.send('GET', path), 404, 'adapter_not_found');
  assertError(await acme.send('GET', `${path}/tags`), 404, 'adapter_not_found');
  assert.deepEqual((await acme.send('GET', '/v1/adapters')).json.data, []);
  assert.equal((await deletedNow()).length, 2);
  const fresh = await sendAdapter(acme, filesOf(await soundAdapter(bench)), { name: 'poet' });
  assert.deepEqual(
    [fresh.json.adapter_id, fresh.json.version],
    [versions[0]!.adapterId, 3],
    'numbers are never given twice',
  );
  await acme.send('POST', `${path}/versions/1/restore`);
  const list = (await acme.send('GET', `${path}/versions`)).json.data;
  assert.deepEqual(
    list.map(({ version }: { version: number }) => version),
    [3, 1],
  );
});

test('after the retention it is gone for good, collected or not', async () => {
  const { acme, services } = bench;
  await acme.send('DELETE', `${path}/versions/3`);
  const deletedAt = new Date(Date.now() - 30 * 24 * 3600 * 1000 - 60_000);
  await services.db.adapterVersion.updateMany({
    where: { adapterId: versions[0]!.adapterId, number: 3 },
    data: { deletedAt },
  });
  assert.ok(!(await deletedNow()).some((model: string) => model.includes('made')));
  assertError(await acme.send('POST', `${path}/versions/3/restore`), 404, 'adapter_not_deleted');
  const actions = await services.db.auditEntry.findMany({
    where: { action: { startsWith: 'adapter.' } },
    orderBy: { id: 'asc' },
  });
  assert.ok(actions.some(({ action }) => action === 'adapter.restore'));
  assert.ok(actions.some(({ action }) => action === 'adapter.delete'));
});

test('pages of deleted ones', async () => {
  const { acme } = bench;
  const files = filesOf(await soundAdapter(bench));
  for (let i = 0; i < 3; i++) await sendAdapter(acme, files, { name: `old-${i}` });
  for (const adapter of (await acme.send('GET', '/v1/adapters')).json.data)
    await acme.send('DELETE', `/v1/adapters/${adapter.id}`);
  const all = await deletedNow();
  const paged: string[] = [];
  for (let after = '', more = true; more; ) {
    const page = (await acme.send('GET', `/v1/adapters/deleted?limit=2${after}`)).json;
    paged.push(...page.data.map(({ model }: { model: string }) => model));
    after = `&after=${page.last_id}`;
    more = page.has_more;
  }
  assert.deepEqual(paged, all);
  assertError(await acme.send('GET', '/v1/adapters/deleted?after=none'), 400, 'invalid_cursor', 'after');
});
