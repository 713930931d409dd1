import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { createEgressRules } from './address-rules.ts';
import { createPinnedFetch } from './pinned-fetch.ts';

const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
});

async function serve(handle: RequestListener): Promise<string> {
  const server = createServer(handle);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

function pinned(allow: string[] = ['127.0.0.1'], resolve = async () => ['127.0.0.1'], idleMs = 2_000) {
  const rules = createEgressRules(allow, 'GRAFT_TEST_ALLOW');
  return createPinnedFetch({ rules, resolve, connectMs: 2_000, wholeMs: 2_000 }, { idleMs });
}

test('bodies and answers of every kind arrive', async () => {
  const url = await serve(async (request, response) => {
    let bytes = 0;
    for await (const chunk of request) bytes += chunk.length;
    response.setHeader('etag', '"x"');
    response.writeHead(request.url === '/empty' ? 204 : 201).end(`${request.method} ${bytes}`);
  });
  const fetch = pinned();
  for (const [body, bytes] of [
    ['text', 4],
    [new Blob([new Uint8Array(3_000_000)]), 3_000_000],
    [undefined, 0],
  ] as const) {
    const answer = await fetch(url, { method: 'PUT', ...(body !== undefined && { body }) });
    assert.deepEqual(
      [answer.status, await answer.text(), answer.headers.get('etag')],
      [201, `PUT ${bytes}`, '"x"'],
    );
  }
  assert.equal((await fetch(`${url}empty`)).status, 204);
});

test('no internal address is reached, by name, redirect or number', async () => {
  let requests = 0;
  const url = await serve((_, response) => {
    requests++;
    response.writeHead(307, { location: url }).end();
  });
  await assert.rejects(pinned([])(url), /GRAFT_TEST_ALLOW/);
  await assert.rejects(pinned([])(url.replace('127.0.0.1', 'hub.example')), /GRAFT_TEST_ALLOW/);
  await assert.rejects(
    pinned(['127.0.0.1'], async () => ['127.0.0.1', '169.254.169.254'])('http://hub.example/'),
    /GRAFT_TEST_ALLOW/,
  );
  assert.equal(requests, 0);
  assert.equal((await pinned()(url)).status, 307);
  assert.equal(requests, 1);
});

test('a server that is slow, breaks off, or answers too much or odd things ends the request alone', async () => {
  const url = await serve((request, response) => {
    request.resume();
    if (request.url === '/large') {
      const more = () => {
        while (response.write(Buffer.alloc(65_536)));
        response.once('drain', more);
      };
      more();
    } else if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half', () => response.destroy());
    } else if (request.url === '/odd') request.socket.end('HTTP/1.1 999 Odd\r\n\r\n');
    else if (request.url === '/early') {
      response.writeHead(401, { connection: 'close' }).end('no');
    } else if (request.url === '/slow') response.write('a');
  });
  const fetch = pinned();
  await assert.rejects(fetch(`${url}large`), /too much/);
  await assert.rejects(fetch(`${url}cut`), { name: 'EgressError' });
  await assert.rejects(fetch(`${url}odd`), /999|failed/);
  await assert.rejects(pinned(['127.0.0.1'], undefined, 100)(`${url}slow`), { name: 'EgressError' });
  await assert.rejects(pinned(['127.0.0.1'], undefined, 100)(`${url}silent`), /No answer came/);
  const body = new Blob([new Uint8Array(100_000)]);
  assert.equal((await fetch(`${url}early`, { method: 'POST', body })).status, 401);
  await assert.rejects(fetch(`${url}silent`, { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' });
});
