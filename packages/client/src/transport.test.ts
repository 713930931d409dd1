import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { GraftApiError, GraftConnectionError } from './errors.ts';
import { GraftClient } from './graft-client.ts';
import { localServer, sendError, sendJson } from './testing/local-server.ts';

const job = { id: 'ftjob-1', object: 'fine_tuning.job', status: 'queued' };
const jobParams = { model: 'base', training_file: 'file-1' };
const quick = { 'retry-after': '0' };

test('a key travels as a Bearer token, and nothing is sent without one', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) => sendJson(response, 200, job));
  await new GraftClient({ baseUrl, apiKey: 'graft_a_b' }).fineTuning.jobs.retrieve('ftjob-1');
  await new GraftClient({ baseUrl, apiKey: null }).fineTuning.jobs.retrieve('ftjob-1');
  assert.equal(requests[0]?.headers.authorization, 'Bearer graft_a_b');
  assert.equal(requests[1]?.headers.authorization, undefined);
});

test('an error answer becomes a GraftApiError with every field', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) => {
    sendError(response, 404, 'model_not_found');
  });
  const create = new GraftClient({ baseUrl, apiKey: 'k' }).fineTuning.jobs.create(jobParams);
  await assert.rejects(create, (error) => {
    assert.ok(error instanceof GraftApiError);
    assert.equal(error.status, 404);
    assert.equal(error.code, 'model_not_found');
    assert.equal(error.type, 'invalid_request_error');
    assert.equal(error.param, 'model');
    assert.equal(error.requestId, 'req-1');
    assert.equal(error.message, 'It is model_not_found.');
    return true;
  });
  assert.equal(requests.length, 1);
});

test('an error with several faults lists each of them', async (t) => {
  const valid = [
    { param: 'peft.r', message: 'must be an integer' },
    { line: 3, message: 'is no JSON' },
  ];
  const answers: unknown[] = [valid, [...valid, null, 5, { line: 1 }], 'none', undefined];
  const { baseUrl } = await localServer(t, (_request, response, index) => {
    const error = { message: 'm', type: 't', param: null, code: 'c', details: answers[index] };
    sendJson(response, 400, { error });
  });
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  for (const details of [valid, valid, [], []]) await assert.rejects(client.models.list(), { details });
});

test("a proxy's HTML page becomes an error that names the status", async (t) => {
  const { baseUrl } = await localServer(t, (_request, response) => {
    response.writeHead(403, { 'content-type': 'text/html' }).end('<html>');
  });
  await assert.rejects(new GraftClient({ baseUrl, apiKey: 'k' }).models.list(), {
    name: 'GraftApiError',
    status: 403,
    code: null,
    message: 'The server answered with status 403.',
  });
});

for (const status of [408, 429, 500, 503]) {
  test(`${status} is tried again, with the same Idempotency-Key and body`, async (t) => {
    const { baseUrl, requests } = await localServer(t, (_request, response, index) => {
      if (index < 2) sendError(response, status, 'later', quick);
      else sendJson(response, 200, job);
    });
    const created = await new GraftClient({ baseUrl, apiKey: 'k' }).fineTuning.jobs.create(jobParams);
    assert.equal(created.id, 'ftjob-1');
    assert.equal(requests.length, 3);
    const keys = new Set(requests.map((request) => request.headers['idempotency-key']));
    assert.equal(keys.size, 1);
    assert.match([...keys][0] as string, /^[0-9a-f]{32}$/);
    assert.deepEqual(
      requests.map((request) => JSON.parse(request.body.toString())),
      [jobParams, jobParams, jobParams],
    );
  });
}

for (const status of [400, 401, 403, 404, 409, 422]) {
  test(`${status} is not tried again`, async (t) => {
    const { baseUrl, requests } = await localServer(t, (_request, response) => {
      sendError(response, status, 'no', quick);
    });
    await assert.rejects(new GraftClient({ baseUrl, apiKey: 'k' }).models.list(), { status });
    assert.equal(requests.length, 1);
  });
}

test('x-should-retry: false is obeyed', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) => {
    sendError(response, 500, 'no', { ...quick, 'x-should-retry': 'false' });
  });
  await assert.rejects(new GraftClient({ baseUrl, apiKey: 'k' }).models.list(), { status: 500 });
  assert.equal(requests.length, 1);
});

test('retries end after maxRetries', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) => {
    sendError(response, 503, 'later', quick);
  });
  const client = new GraftClient({ baseUrl, apiKey: 'k', maxRetries: 2 });
  await assert.rejects(client.models.list(), { status: 503, retryAfter: 0 });
  assert.equal(requests.length, 3);
});

test('Retry-After is waited for; more than a minute of it is not', async (t) => {
  const waits = ['1', '3600'];
  const { baseUrl, requests } = await localServer(t, (_request, response, index) => {
    sendError(response, 429, 'later', { 'retry-after': waits[index] as string });
  });
  const start = performance.now();
  await assert.rejects(new GraftClient({ baseUrl, apiKey: 'k' }).models.list(), { retryAfter: 3600 });
  assert.equal(requests.length, 2);
  assert.ok(performance.now() - start >= 990);
});

test('a connection that breaks, and a body that is cut off, are tried again', async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response, index) => {
    if (index === 0) response.destroy();
    else if (index === 1) {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"id":');
      setTimeout(() => response.destroy(), 20);
    } else sendJson(response, 200, job);
  });
  const found = await new GraftClient({ baseUrl, apiKey: 'k' }).fineTuning.jobs.retrieve('ftjob-1');
  assert.equal(found.id, 'ftjob-1');
  assert.equal(requests.length, 3);
});

test('a request to a silent server fails after the timeout', async (t) => {
  const { baseUrl } = await localServer(t, () => {});
  const client = new GraftClient({ baseUrl, apiKey: 'k', timeout: 100, maxRetries: 0 });
  await assert.rejects(client.models.list(), (error) => {
    assert.ok(error instanceof GraftConnectionError);
    assert.equal(error.timedOut, true);
    assert.match(error.message, /for 0\.1 seconds/);
    return true;
  });
});

test('a body that keeps moving outlives the timeout', async (t) => {
  const { baseUrl } = await localServer(t, async (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    for (const piece of ['{"data"', ':', '[', ']', '}']) {
      response.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    response.end();
  });
  const client = new GraftClient({ baseUrl, apiKey: 'k', timeout: 250, maxRetries: 0 });
  assert.deepEqual(await client.models.list(), []);
});

test('nobody listening is said plainly', async () => {
  // A port that was free a moment ago.
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const client = new GraftClient({ baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: 'k', maxRetries: 0 });
  await assert.rejects(client.models.list(), {
    name: 'GraftConnectionError',
    message: `Cannot reach http://127.0.0.1:${port}/v1: nothing listens there (ECONNREFUSED).`,
  });
});

test("the caller's abort ends the wait between tries, with the caller's reason", async (t) => {
  const { baseUrl, requests } = await localServer(t, (_request, response) => {
    sendError(response, 503, 'later', { 'retry-after': '30' });
  });
  const reason = new Error('enough');
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 100);
  const client = new GraftClient({ baseUrl, apiKey: 'k' });
  const start = performance.now();
  await assert.rejects(
    client.fineTuning.jobs.retrieve('x', { signal: controller.signal }),
    (error) => error === reason,
  );
  assert.equal(requests.length, 1);
  assert.ok(performance.now() - start < 5_000);
});

test('an answer that is not JSON points at the base URL', async (t) => {
  const { baseUrl } = await localServer(t, (_request, response) => response.end('<html>'));
  await assert.rejects(new GraftClient({ baseUrl, apiKey: 'k' }).models.list(), /Is http.* a Graft API\?/);
});

test('a base URL or key that cannot be one is refused at once', () => {
  assert.throws(
    () => new GraftClient({ baseUrl: 'localhost:8000', apiKey: 'k' }),
    /must be an http or https URL/,
  );
  assert.throws(() => new GraftClient({ apiKey: 'graft_a\nb' }), /apiKey must be printable ASCII/);
});
