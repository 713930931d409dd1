import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { filesOf, sendAdapter, soundAdapter } from '../../testing/adapter-parts.ts';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, openApiBench } from '../../testing/open-api-bench.ts';
import { publishAdapter } from '../../testing/publish-adapter.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

/** Uploads an adapter successfully. */
async function upload(options: { r?: number; seed?: number; parent?: string; name?: string } = {}) {
  const { r = 2, seed = 1, ...fields } = options;
  const answer = await sendAdapter(bench.acme, filesOf(await soundAdapter(bench, { r }, seed)), fields);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

test('two versions are compared: options, files, what both have', async () => {
  const { acme, other } = bench;
  const [a, b] = [await upload({ r: 2 }), await upload({ r: 4 })];
  const compare = async (one: string, two: string, by = acme) =>
    await by.send('GET', `/v1/adapters/compare?a=${encodeURIComponent(one)}&b=${encodeURIComponent(two)}`);
  const { json } = await compare(a.model, b.model);
  assert.deepEqual(json.config, [{ field: 'r', a: 2, b: 4 }]);
  assert.deepEqual([json.identical, json.lineage, json.a, json.b], [false, [], a, b]);
  assert.deepEqual(
    json.files.map(({ path, status }: { path: string; status: string }) => [path, status]),
    [
      ['adapter_config.json', 'changed'],
      ['adapter_model.safetensors', 'changed'],
    ],
  );
  assert.equal(json.files[1].a.sha256, a.files[1].sha256);
  const same = (await compare(a.model, a.model)).json;
  assert.deepEqual([same.identical, same.config, same.files[0].status], [true, [], 'same']);

  const trained = await publishAdapter(bench, acme, 'poet');
  const metrics = { train_loss: 2, validation: { loss: 3 } };
  await bench.services.db.adapterVersion.updateMany({ where: { id: trained.version.id }, data: { metrics } });
  const mixed = (await compare(a.model, trained.version.modelName)).json;
  assert.deepEqual(mixed.metrics, [
    { name: 'train_loss', a: null, b: 2, difference: null },
    { name: 'validation.loss', a: null, b: 3, difference: null },
  ]);
  assert.ok(mixed.lineage.some(({ field }: { field: string }) => field === 'base_model.digest'));
  // Tags can be compared like versions.
  await acme.send('POST', `/v1/adapters/${b.adapter_id}/tags`, { tag: 'production', version: b.version });
  const tagged = (await compare(a.model, 'ft:tiny:acme:made-elsewhere:production')).json;
  assert.deepEqual(tagged.config, json.config);

  assertError(await compare(a.model, 'ft:none'), 404, 'model_not_found', 'b');
  assertError(await compare('tiny', a.model), 404, 'model_not_found', 'a');
  assertError(await compare(a.model, b.model, other), 404, 'model_not_found', 'a');
  assertError(await acme.send('GET', '/v1/adapters/compare?a=x'), 400, 'missing_required_parameter', 'b');
});

test('lineage: from the base through parents, and on to what was started from it', async () => {
  const { acme, other } = bench;
  const trained = (await publishAdapter(bench, acme, 'root')).version;
  const child = await upload({ parent: trained.modelName, name: 'child', seed: 2 });
  const grandchild = await upload({ parent: child.model, name: 'grandchild', seed: 3 });
  const sibling = await upload({ parent: trained.modelName, name: 'sibling', seed: 4 });
  const path = `/v1/adapters/${child.adapter_id}/versions/${child.version}/lineage`;
  const { json } = await acme.send('GET', path);
  assert.deepEqual(json.edges, [
    { from: trained.id, to: child.id, kind: 'starts' },
    { from: 'tiny', to: trained.jobId, kind: 'starts' },
    { from: trained.jobId, to: trained.id, kind: 'makes' },
    { from: child.id, to: grandchild.id, kind: 'starts' },
    {
      from: json.nodes.find(({ type }: { type: string }) => type === 'file').id,
      to: trained.jobId,
      kind: 'feeds',
    },
  ]);
  const labels = new Map(json.nodes.map(({ id, label }: { id: string; label: string }) => [id, label]));
  assert.equal(labels.get(trained.id), trained.modelName);
  assert.ok(!labels.has(sibling.id), 'only what came from this one');
  const ofType = (type: string) => json.nodes.filter((node: { type: string }) => node.type === type);
  assert.deepEqual([ofType('file')[0].label, ofType('file')[0].version], ['train.jsonl', null]);
  assert.deepEqual(ofType('adapter_version').find(({ id }: { id: string }) => id === child.id).version, {
    adapter_id: child.adapter_id,
    adapter_name: 'child',
    number: 1,
  });
  const whole = (await acme.send('GET', `/v1/adapters/${trained.adapterId}/versions/1/lineage`)).json;
  const ids = whole.nodes.map(({ id }: { id: string }) => id);
  for (const { id } of [child, grandchild, sibling]) assert.ok(ids.includes(id));
  assert.equal(whole.truncated, false);
  // Edges only connect returned nodes.
  for (const { from, to } of whole.edges) assert.ok(ids.includes(from) && ids.includes(to));

  assertError(await other.send('GET', path), 404, 'adapter_not_found');
  // A deleted version is shown without its label, time and number.
  await acme.send('DELETE', `/v1/adapters/${trained.adapterId}/versions/1`);
  const after = (await acme.send('GET', path)).json;
  const gone = after.nodes.find(({ id }: { id: string }) => id === trained.id);
  assert.deepEqual([gone.label, gone.created_at, gone.version], [null, null, null]);
  assert.ok(!JSON.stringify(after).includes(trained.jobId!));
});

test('a very large lineage is truncated', async () => {
  const { services, acme } = bench;
  const root = await upload({ name: 'many' });
  const row = await services.db.adapterVersion.findUniqueOrThrow({ where: { id: root.id } });
  const children = Array.from({ length: 450 }, (_, i) => ({
    ...row,
    id: `adptver-many-${i}`,
    number: i + 2,
    modelName: `${row.modelName}-${i}`,
    parentId: i < 300 ? root.id : `adptver-many-${i - 1}`,
  }));
  // biome-ignore lint/suspicious/noExplicitAny: JSON columns are read in another type than they are written in
  await services.db.adapterVersion.createMany({ data: children as any });
  for (const version of [1, 451]) {
    const { json } = await acme.send('GET', `/v1/adapters/${root.adapter_id}/versions/${version}/lineage`);
    assert.equal(json.truncated, true);
    assert.ok(json.nodes.length <= 204, String(json.nodes.length));
  }
});

test('notes are written, read and removed, by members of the team', async () => {
  const { acme, other } = bench;
  const { adapter_id, version } = await upload({ name: 'noted' });
  const adapter = `/v1/adapters/${adapter_id}`;
  for (const path of [adapter, `${adapter}/versions/${version}`]) {
    const note = 'Läuft.\n"Zeile zwei" 🎉';
    assert.equal((await acme.send('POST', `${path}/note`, { note })).json.note, note);
    assert.equal((await acme.send('GET', path)).json.note, note);
    assertError(await other.send('POST', `${path}/note`, { note }), 404, 'adapter_not_found');
    const viewer = await bench.caller(acme, 'viewer');
    assertError(await viewer.send('POST', `${path}/note`, { note }), 403, 'insufficient_role');
    for (const bad of ['', 'x'.repeat(10_001), 7, 'a\0b'])
      assertError(await acme.send('POST', `${path}/note`, { note: bad }), 400, 'invalid_value', 'note');
    assertError(await acme.send('POST', `${path}/note`, {}), 400, 'missing_required_parameter', 'note');
    assert.equal((await acme.send('GET', path)).json.note, note);
    assert.equal((await acme.send('POST', `${path}/note`, { note: null })).json.note, null);
  }
  const audit = await bench.services.db.auditEntry.findMany({
    where: { action: 'adapter.note' },
    orderBy: { id: 'asc' },
  });
  assert.equal(audit.length, 4);
});
