import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { GraftClient } from '../graft-client.ts';
import { localServer, type SeenRequest, sendError, sendJson } from '../testing/local-server.ts';

/** Server that stores uploads; `cutAt` breaks the connection of the part request with this index. */
async function uploadServer(t: TestContext, { cutAt = -1 } = {}) {
  const uploads: {
    id: string;
    filename: string;
    bytes: number;
    parts: Map<string, Buffer>;
    done: boolean;
  }[] = [];
  /** Fields of the requests to complete an upload, other than its parts. */
  const completions: unknown[] = [];
  let partRequests = 0;
  const wire = ({ id, filename, bytes, parts, done }: (typeof uploads)[0]) => ({
    id,
    object: 'upload',
    filename,
    bytes,
    parts: parts.size,
    received_bytes: [...parts.values()].reduce((sum, part) => sum + part.length, 0),
    status: done ? 'completed' : 'pending',
  });
  const idOf = (data: Buffer) => createHash('sha256').update(data).digest('hex');
  const partOf = (data: Buffer) => ({ id: `part_${idOf(data)}`, sha256: idOf(data), bytes: data.length });
  const list = (data: unknown[]) => ({
    object: 'list',
    data,
    has_more: false,
    first_id: null,
    last_id: null,
  });
  const { baseUrl, requests } = await localServer(t, async (request, response) => {
    const [, , , id, verb] = new URL(request.url, 'http://x').pathname.split('/');
    const upload = uploads.find((each) => each.id === id);
    if (request.method === 'GET' && id === undefined) {
      return sendJson(response, 200, list(uploads.filter(({ done }) => !done).map(wire)));
    }
    if (id === undefined) {
      const { filename, bytes } = JSON.parse(request.body.toString());
      uploads.unshift({ id: `upload_${uploads.length}`, filename, bytes, parts: new Map(), done: false });
      return sendJson(response, 200, wire(uploads[0]!));
    }
    if (verb === 'parts' && request.method === 'GET')
      return sendJson(response, 200, list([...upload!.parts.values()].map(partOf)));
    if (verb === 'parts') {
      if (partRequests++ === cutAt) return void response.destroy();
      const data = await dataOf(request);
      upload!.parts.set(idOf(data), data);
      return sendJson(response, 200, partOf(data));
    }
    const { part_ids: ids, ...options } = JSON.parse(request.body.toString());
    completions.push(options);
    const all = Buffer.concat(ids.map((each: string) => upload!.parts.get(each.slice(5))));
    if (all.length !== upload!.bytes) return sendError(response, 400, 'parts_incomplete');
    upload!.done = true;
    sendJson(response, 200, { ...wire(upload!), file: { id: 'file-1', sha256: idOf(all) } });
  });
  const sentParts = () =>
    requests.filter(({ method, url }) => method === 'POST' && url.endsWith('/parts')).length;
  return {
    client: new GraftClient({ baseUrl, apiKey: 'k', maxRetries: 0 }),
    sentParts,
    uploads,
    completions,
  };
}

async function dataOf({ headers, body }: SeenRequest): Promise<Buffer> {
  const type = { 'content-type': headers['content-type'] as string };
  const form = await new Response(new Uint8Array(body), { headers: type }).formData();
  return Buffer.from(await (form.get('data') as File).arrayBuffer());
}

const content = Buffer.from(Array.from({ length: 5000 }, (_, i) => `{"text":"${i}"}\n`).join(''));

async function fileOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-client-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'train.jsonl');
  await writeFile(path, content);
  return path;
}

test('a file is sent in parts that make it again, a path as well as a Blob, with progress', async (t) => {
  const path = await fileOf(t);
  for (const file of [path, new Blob([new Uint8Array(content)])]) {
    const { client, sentParts } = await uploadServer(t);
    const sent: number[] = [];
    const done = await client.uploads.sendFile({
      file,
      partBytes: 20_000,
      filename: 'train.jsonl',
      onProgress: (progress) => sent.push(progress.sent),
    });
    assert.equal(done.file!.sha256, createHash('sha256').update(content).digest('hex'));
    assert.equal(sentParts(), Math.ceil(content.length / 20_000));
    assert.equal(sent.at(-1), content.length);
    assert.deepEqual(
      sent,
      sent.toSorted((a, b) => a - b),
    );
  }
});

test('columns and the treatment of invalid lines are sent when the upload completes', async (t) => {
  const file = await fileOf(t);
  const { client, completions } = await uploadServer(t);
  await client.uploads.sendFile({ file, columns: { prompt: 'question' }, onBadLines: 'skip' });
  await client.uploads.sendFile({ file });
  assert.deepEqual(completions, [{ columns: { prompt: 'question' }, on_bad_lines: 'skip' }, {}]);
});

test('an interrupted upload is resumed: no part is sent twice', async (t) => {
  const file = await fileOf(t);
  const { client, sentParts, uploads } = await uploadServer(t, { cutAt: 2 });
  await assert.rejects(client.uploads.sendFile({ file, partBytes: 20_000 }), {
    name: 'GraftConnectionError',
  });
  let resumed = 0;
  let into = '';
  await client.uploads.sendFile({
    file,
    partBytes: 20_000,
    onUpload: ({ id }) => (into = id),
    onResume: ({ sent }) => (resumed = sent),
  });
  assert.equal(resumed, 40_000);
  assert.equal(into, uploads[0]?.id);
  assert.equal(sentParts(), Math.ceil(content.length / 20_000) + 1);
  assert.equal(uploads.length, 1);
});

test('an upload of the same name that has parts of another file is left alone', async (t) => {
  const file = await fileOf(t);
  const { client, uploads } = await uploadServer(t);
  const other = await client.uploads.create({ filename: 'train.jsonl', bytes: content.length });
  await client.uploads.addPart(other.id, new Blob([Buffer.alloc(60_000, 'x')]));
  const done = await client.uploads.sendFile({ file, partBytes: 20_000 });
  assert.notEqual(done.id, other.id);
  assert.equal(uploads.length, 2);
});
