import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GraftClient } from '../graft-client.ts';
import { localServer, sendError, sendJson } from '../testing/local-server.ts';

test("a folder's three files are streamed, whatever else lies in it, and sent once", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'graft-client-'));
  t.after(() => rm(folder, { recursive: true }));
  const weights = Buffer.alloc(200_000, 'w');
  await writeFile(join(folder, 'adapter_config.json'), '{"r": 8}');
  await writeFile(join(folder, 'adapter_model.safetensors'), weights);
  await writeFile(join(folder, 'optimizer.pt'), 'secret');
  const { baseUrl, requests } = await localServer(t, (_request, response) =>
    sendError(response, 503, 'later'),
  );
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  let last = { sent: 0, total: 0 };
  const upload = client.adapters.upload({
    baseModel: 'tiny',
    name: 'poet',
    note: 'é',
    files: folder,
    onProgress: (progress) => {
      last = progress;
    },
  });
  await assert.rejects(upload, { code: 'later' });
  assert.equal(requests.length, 1);
  assert.deepEqual(last, { sent: weights.length + 8, total: weights.length + 8 });
  const [request] = requests;
  assert.equal(request!.headers['content-length'], String(request!.body.length));
  const form = await new Response(new Uint8Array(request!.body), {
    headers: { 'content-type': request!.headers['content-type'] as string },
  }).formData();
  assert.deepEqual(
    [form.get('base_model'), form.get('name'), form.get('note'), form.get('parent')],
    ['tiny', 'poet', 'é', null],
  );
  const files = form.getAll('file') as File[];
  assert.deepEqual(
    files.map(({ name, size }) => [name, size]),
    [
      ['adapter_config.json', 8],
      ['adapter_model.safetensors', weights.length],
    ],
  );
  assert.deepEqual(Buffer.from(await files[1]!.arrayBuffer()), weights);
});

test('the paths and bodies of the other calls', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) =>
    sendJson(response, 200, { object: 'list', data: [], has_more: false }),
  );
  const { adapters } = new GraftClient({ baseUrl, apiKey: 'k' });
  await adapters.upload({ baseModel: 'b', name: 'n', files: { 'adapter_config.json': new Blob(['{}']) } });
  await adapters.tags.move('adpt-1', 'live', 2);
  await adapters.tags.move('adpt-1', 'live', 2, { expected: null });
  await adapters.tags.list('adpt-1').toArray();
  await adapters.tags.remove('adpt-1', 'a/b');
  await adapters.compare('ft:a:b', 'ft:c');
  await adapters.setNote('adpt-1', 'x');
  await adapters.versions.setNote('adpt-1', 2, null);
  await adapters.versions.lineage('adpt-1', 2);
  await adapters.delete('adpt-1');
  await adapters.versions.delete('adpt-1', 2);
  await adapters.versions.restore('adpt-1', 2);
  await adapters.listDeleted({ limit: 5 }).toArray();
  const [upload, ...others] = requests.map(({ method, url, body }) => `${method} ${url} ${body}`.trim());
  assert.match(upload!, /^POST \/v1\/adapters [\s\S]*filename="adapter_config\.json"/);
  assert.deepEqual(others, [
    'POST /v1/adapters/adpt-1/tags {"tag":"live","version":2}',
    'POST /v1/adapters/adpt-1/tags {"tag":"live","version":2,"expected_version":null}',
    'GET /v1/adapters/adpt-1/tags',
    'DELETE /v1/adapters/adpt-1/tags/a%2Fb',
    'GET /v1/adapters/compare?a=ft%3Aa%3Ab&b=ft%3Ac',
    'POST /v1/adapters/adpt-1/note {"note":"x"}',
    'POST /v1/adapters/adpt-1/versions/2/note {"note":null}',
    'GET /v1/adapters/adpt-1/versions/2/lineage',
    'DELETE /v1/adapters/adpt-1',
    'DELETE /v1/adapters/adpt-1/versions/2',
    'POST /v1/adapters/adpt-1/versions/2/restore',
    'GET /v1/adapters/deleted?limit=5',
  ]);
});
