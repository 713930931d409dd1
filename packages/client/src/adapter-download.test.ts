import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { GraftClient } from './graft-client.ts';
import { localServer, type SeenRequest } from './testing/local-server.ts';

const archive = randomBytes(200_000);
const sha256 = createHash('sha256').update(archive).digest();
const etag = `"sha256-${sha256.toString('hex')}"`;
const identity = { etag, 'repr-digest': `sha-256=:${sha256.toString('base64')}:` };

/** Responds as the API does, and closes the connection after `cutAfter` bytes of the response. */
function serve(request: SeenRequest, response: ServerResponse, cutAfter = Number.POSITIVE_INFINITY): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? 'bytes=0-')?.[1]);
  if (start >= archive.length) {
    response.writeHead(416, { 'content-range': `bytes */${archive.length}` }).end();
    return;
  }
  const body = archive.subarray(start);
  const headers = { ...identity, 'content-length': String(body.length) };
  const range = `bytes ${start}-${archive.length - 1}/${archive.length}`;
  response.writeHead(start > 0 ? 206 : 200, start > 0 ? { ...headers, 'content-range': range } : headers);
  if (cutAfter >= body.length) response.end(body);
  else {
    response.write(body.subarray(0, cutAfter));
    setTimeout(() => response.destroy(), 20);
  }
}

async function drain(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of chunks);
}

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-client-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

test('broken connections resume where they stopped, and the digest is checked', async (t) => {
  const path = join(await folderFor(t), 'a.tar');
  const { baseUrl, requests } = await localServer(t, (request, response, index) => {
    serve(request, response, [70_000, 50_000][index]);
  });
  const received: number[] = [];
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  const result = await client.adapters
    .download('adpt_1', 2, { onProgress: (progress) => received.push(progress.received) })
    .toFile(path);
  assert.equal(result.bytes, archive.length);
  assert.deepEqual(await readFile(path), archive);
  assert.equal(existsSync(`${path}.part`), false);
  assert.deepEqual(
    requests.map((request) => [request.url, request.headers['if-range']]),
    [
      ['/v1/adapters/adpt_1/versions/2/download', undefined],
      ['/v1/adapters/adpt_1/versions/2/download', etag],
      ['/v1/adapters/adpt_1/versions/2/download', etag],
    ],
  );
  // Bytes that were in transit when the connection broke may be lost, so each request continues from the bytes received.
  const starts = requests
    .slice(1)
    .map((request) => Number(/^bytes=(\d+)-$/.exec(request.headers.range!)![1]));
  assert.ok(starts[0]! > 0 && starts[0]! <= 70_000, `first resumed at ${starts[0]}`);
  assert.ok(starts[1]! > starts[0]! && starts[1]! <= starts[0]! + 50_000, `then at ${starts[1]}`);
  assert.ok(
    starts.every((start) => received.includes(start)),
    'it resumes after the bytes that it has',
  );
  assert.equal(received.at(-1), archive.length);
  assert.deepEqual(
    received,
    received.toSorted((a, b) => a - b),
  );
});

test('a server that knows no ranges is read from the start, and what is there is skipped', async (t) => {
  const { baseUrl } = await localServer(t, (request, response, index) => {
    serve({ ...request, headers: {} }, response, index === 0 ? 1_000 : undefined);
  });
  const chunks: Uint8Array[] = [];
  const download = new GraftClient({ baseUrl, apiKey: 'k' }).adapters.download('adpt_1', 1);
  for await (const chunk of download.stream()) chunks.push(chunk);
  assert.deepEqual(Buffer.concat(chunks), archive);
});

test('a part of an earlier call is continued', async (t) => {
  const path = join(await folderFor(t), 'a.tar');
  await writeFile(`${path}.part`, archive.subarray(0, 150_000));
  const { baseUrl, requests } = await localServer(t, (request, response) => serve(request, response));
  await new GraftClient({ baseUrl, apiKey: 'k' }).adapters.download('adpt_1', 1).toFile(path);
  assert.deepEqual(
    requests.map((request) => request.headers.range),
    ['bytes=150000-'],
  );
  assert.deepEqual(await readFile(path), archive);
});

for (const [what, part] of [
  ['of other bytes', randomBytes(150_000)],
  ['as long as the whole', randomBytes(archive.length)],
] as const) {
  test(`a part ${what} is discarded, and everything is fetched again`, async (t) => {
    const path = join(await folderFor(t), 'a.tar');
    await writeFile(`${path}.part`, part);
    const { baseUrl, requests } = await localServer(t, (request, response) => serve(request, response));
    await new GraftClient({ baseUrl, apiKey: 'k' }).adapters.download('adpt_1', 1).toFile(path);
    assert.deepEqual(
      requests.map((request) => request.headers.range),
      [`bytes=${part.length}-`, undefined],
    );
    assert.deepEqual(await readFile(path), archive);
  });
}

test('damaged bytes are refused, and leave no file', async (t) => {
  const path = join(await folderFor(t), 'a.tar');
  const { baseUrl } = await localServer(t, (_request, response) => {
    const damaged = Buffer.from(archive);
    damaged[99_999] = (damaged[99_999] as number) ^ 1;
    response.writeHead(200, identity).end(damaged);
  });
  const download = new GraftClient({ baseUrl, apiKey: 'k' }).adapters.download('adpt_1', 1);
  await assert.rejects(download.toFile(path), { name: 'GraftDigestError', message: /is damaged/ });
  assert.equal(existsSync(path), false);
  assert.equal(existsSync(`${path}.part`), false);
});

test('an archive that changes between two connections is refused', async (t) => {
  const { baseUrl } = await localServer(t, (request, response, index) => {
    if (index === 0) serve(request, response, 1_000);
    else response.writeHead(200, { ...identity, etag: '"other"' }).end(archive);
  });
  const download = new GraftClient({ baseUrl, apiKey: 'k' }).adapters.download('adpt_1', 1);
  await assert.rejects(drain(download.bytes()), { name: 'GraftDigestError', message: /changed/ });
});

test('a download without an announced digest cannot be trusted', async (t) => {
  const { baseUrl } = await localServer(t, (_request, response) => response.end(archive));
  const download = new GraftClient({ baseUrl, apiKey: 'k' }).adapters.download('adpt_1', 1);
  await assert.rejects(drain(download.bytes()), /announced no SHA-256/);
});
