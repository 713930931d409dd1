import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GraftClient } from '../graft-client.ts';
import { localServer, type SeenRequest, sendError, sendJson } from '../testing/local-server.ts';

const fileObject = { id: 'file-1', object: 'file', bytes: 3, filename: 'x', purpose: 'fine-tune' };

/** Parses the form with the platform's multipart parser. */
function formOf(request: SeenRequest): Promise<FormData> {
  const headers = { 'content-type': request.headers['content-type'] as string };
  return new Response(new Uint8Array(request.body), { headers }).formData();
}

test('a path is streamed as multipart with its length, with progress, again on a retry', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'graft-client-'));
  t.after(() => rm(folder, { recursive: true }));
  const content = Buffer.alloc(300_000, 'zeile\n');
  const path = join(folder, 'my "data".jsonl');
  await writeFile(path, content);
  const { baseUrl, requests } = await localServer(t, (_request, response, index) => {
    if (index === 0) sendError(response, 503, 'later', { 'retry-after': '0' });
    else sendJson(response, 200, fileObject);
  });
  const progress: number[] = [];
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  const file = await client.files.upload({
    file: path,
    onProgress: ({ sent, total }) => {
      assert.equal(total, content.length);
      progress.push(sent);
    },
  });
  assert.equal(file.id, 'file-1');
  assert.equal(requests.length, 2);
  for (const request of requests) {
    assert.equal(request.headers['content-length'], String(request.body.length));
    const form = await formOf(request);
    assert.equal(form.get('purpose'), 'fine-tune');
    const sent = form.get('file') as File;
    assert.equal(sent.name, 'my "data".jsonl');
    assert.deepEqual(Buffer.from(await sent.arrayBuffer()), content);
  }
  assert.ok(progress.length >= 2 * Math.ceil(content.length / 65_536));
  assert.equal(progress.at(-1), content.length);
});

test('a Blob is uploaded under the given name; an empty one too', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) =>
    sendJson(response, 200, fileObject),
  );
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  await client.files.upload({ file: new Blob(['{"text":"a"}\n']), filename: 'a.jsonl', purpose: 'other' });
  await client.files.upload({ file: new Blob([]), filename: 'empty.jsonl' });
  const form = await formOf(requests[0] as SeenRequest);
  assert.equal(form.get('purpose'), 'other');
  assert.equal(form.get('on_bad_lines'), null);
  assert.equal(await (form.get('file') as File).text(), '{"text":"a"}\n');
  assert.equal((form.get('file') as File).name, 'a.jsonl');
  assert.equal(((await formOf(requests[1] as SeenRequest)).get('file') as File).size, 0);
});

test('columns and the treatment of invalid lines are sent before the file', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) =>
    sendJson(response, 200, fileObject),
  );
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  const columns = { prompt: 'question' };
  await client.files.upload({ file: new Blob(['{}\n']), filename: 'a.jsonl', columns, onBadLines: 'skip' });
  const fields = [...(await formOf(requests[0] as SeenRequest)).entries()].slice(0, -1);
  assert.deepEqual(fields, [
    ['purpose', 'fine-tune'],
    ['columns', '{"prompt":"question"}'],
    ['on_bad_lines', 'skip'],
  ]);
});

test('without Node a Blob goes as FormData', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) =>
    sendJson(response, 200, fileObject),
  );
  t.mock.method(process, 'getBuiltinModule', () => undefined);
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  await client.files.upload({ file: new Blob(['{}\n']), filename: 'b.jsonl' });
  await assert.rejects(client.files.upload({ file: 'b.jsonl' }), /needs Node\.js/);
  const sent = (await formOf(requests[0] as SeenRequest)).get('file') as File;
  assert.equal(sent.name, 'b.jsonl');
  assert.equal(await sent.text(), '{}\n');
});

test('a path that is no file fails before anything is sent', async (t) => {
  const { baseUrl, requests } = await localServer(t, () => {});
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  await assert.rejects(client.files.upload({ file: tmpdir() }), /is not a file/);
  await assert.rejects(client.files.upload({ file: join(tmpdir(), 'no-such-file') }), { code: 'ENOENT' });
  assert.equal(requests.length, 0);
});

test('lists continue page by page, after the last id, only as far as they are read', async (t) => {
  const { baseUrl, requests } = await localServer(t, (request, response) => {
    const after = new URL(request.url, 'http://x').searchParams.get('after');
    const start = after === null ? 0 : Number(after.slice(5));
    const data = [1, 2].map((offset) => ({ ...fileObject, id: `file-${start + offset}` }));
    sendJson(response, 200, { object: 'list', data, has_more: start + 2 < 6, last_id: data[1]?.id });
  });
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  const all: string[] = [];
  for await (const file of client.files.list({ purpose: 'fine-tune', limit: 2 })) all.push(file.id);
  assert.deepEqual(all, ['file-1', 'file-2', 'file-3', 'file-4', 'file-5', 'file-6']);
  assert.deepEqual(
    requests.map((request) => request.url),
    ['', '&after=file-2', '&after=file-4'].map((rest) => `/v1/files?purpose=fine-tune&limit=2${rest}`),
  );
  assert.equal((await client.files.list().toArray(3)).length, 3);
  assert.equal(requests.length, 5);
  assert.equal((await client.files.list().page()).data.length, 2);
});

test('a file is deleted by its escaped id, and its content is read as bytes', async (t) => {
  const { baseUrl, requests } = await localServer(t, (request, response) => {
    if (request.method === 'DELETE') sendJson(response, 200, { id: 'file/1', object: 'file', deleted: true });
    else response.end('line\n');
  });
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  assert.equal((await client.files.delete('file/1')).deleted, true);
  assert.equal(requests[0]?.url, '/v1/files/file%2F1');
  assert.equal(await (await client.files.content('file-1')).text(), 'line\n');
});

test('a data set of the Hub is fetched by the server, once', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response, index) => {
    if (index === 0) sendJson(response, 200, fileObject);
    else sendError(response, 503, 'data_set_unavailable', { 'retry-after': '0' });
  });
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  const source = 'hf://datasets/org/name?split=train';
  const columns = { prompt: 'question' };
  assert.equal((await client.files.import({ source, columns, onBadLines: 'skip' })).id, 'file-1');
  assert.equal(requests[0]!.url, '/v1/files/import');
  assert.deepEqual(JSON.parse(requests[0]!.body.toString()), {
    purpose: 'fine-tune',
    source,
    columns,
    on_bad_lines: 'skip',
  });
  await assert.rejects(client.files.import({ source }), { status: 503 });
  assert.deepEqual(JSON.parse(requests[1]!.body.toString()), { purpose: 'fine-tune', source });
  assert.equal(requests.length, 2);
});
