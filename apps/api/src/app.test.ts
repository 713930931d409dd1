import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createApiKey, revokeApiKey } from '@graft/service/keys';
import { errorCodes } from './error-codes.ts';
import { assertError } from './testing/assert-error.ts';
import { type ApiBench, answerOf, chatLine, openApiBench, uploadForm } from './testing/open-api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench({ bodyTimeoutMs: 300, headersTimeoutMs: 300 });
});
after(async () => await bench?.close());

async function get(path: string, headers: Record<string, string> = {}) {
  return await answerOf(await fetch(bench.url + path, { headers }));
}

/** Sends raw bytes and returns what the server sends until it closes. */
async function raw(text: string) {
  const socket = connect(Number(new URL(bench.url).port), '127.0.0.1');
  socket.write(text);
  let reply = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    reply += chunk;
  });
  await once(socket, 'close');
  const [head = '', body = ''] = reply.split('\r\n\r\n');
  const [status = '', ...lines] = head.split('\r\n');
  const headers = new Headers(lines.map((line) => line.split(/: (.*)/s, 2) as [string, string]));
  return { status: Number(status.split(' ')[1]), headers, json: JSON.parse(body) };
}

describe('keys', () => {
  test('none, wrong and revoked ones are 401 on every route', async () => {
    const { key } = bench.acme;
    assertError(await get('/v1/files'), 401, 'missing_api_key');
    const revoked = await createApiKey(bench.services, bench.acme.teamId, { name: 'x', role: 'member' });
    assert.equal((await get('/v1/files', { authorization: `Bearer ${revoked.key}` })).status, 200);
    await revokeApiKey(bench.services, bench.acme.teamId, revoked.keyId);
    const wrong = [
      revoked.key,
      `${key.slice(0, -1)}!`,
      key.replace(/.$/, (c) => (c === 'a' ? 'b' : 'a')),
      'x',
      '',
    ];
    for (const each of wrong) {
      const answer = await get('/v1/files', { authorization: `Bearer ${each}` });
      assertError(answer, 401, 'invalid_api_key');
      assert.match(answer.headers.get('www-authenticate')!, /^Bearer/);
    }
    assertError(await get('/v1/files', { authorization: `Basic ${key}` }), 401, 'invalid_api_key');
    for (const path of ['models', 'adapters', 'fine_tuning/jobs', 'files/x/content', 'models/x']) {
      assertError(await get(`/v1/${path}`), 401, 'missing_api_key');
    }
    const post = await fetch(`${bench.url}/v1/chat/completions`, { method: 'POST', body: '{' });
    assertError(await answerOf(post), 401, 'missing_api_key');
  });

  test("OpenAI's organization and project headers are accepted", async () => {
    const headers = { 'openai-organization': 'org-x', 'openai-project': 'proj-x' };
    assert.equal((await bench.acme.send('GET', '/v1/models', undefined, headers)).status, 200);
  });
});

describe('errors', () => {
  test('unknown paths and methods', async () => {
    for (const path of ['/v1', '/v1/none', '/v2/files', '/v1/files/a/b/c']) {
      assertError(await get(path), 404, 'unknown_url', null);
    }
    const put = await bench.acme.send('PUT', '/v1/files', uploadForm(chatLine));
    assertError(put, 405, 'method_not_allowed', null);
    for (const [path, hint] of [
      [
        '/chat/completions',
        /Did you mean \/v1\/chat\/completions\? The base URL of a client ends with \/v1\.$/,
      ],
      ['/chats', /^Unknown request URL: POST \/chats\.$/],
    ] as const) {
      assert.match(assertError(await bench.acme.send('POST', path, {}), 404, 'unknown_url'), hint);
    }
    assert.equal(put.headers.get('allow'), 'POST, GET, HEAD, OPTIONS');
    const options = await fetch(`${bench.url}/v1/models/a/b`, { method: 'OPTIONS' });
    assert.deepEqual([options.status, options.headers.get('allow')], [204, 'GET, HEAD, DELETE, OPTIONS']);
    assertError(await get('/v1/%zz'), 404, 'unknown_url');
  });

  test('bodies that are not JSON', async () => {
    const path = '/v1/fine_tuning/jobs';
    for (const body of ['{', '{"a":1,}', 'null x', '{"__proto__":{}}']) {
      assertError(await bench.acme.send('POST', path, body), 400, 'invalid_json', null);
    }
    for (const body of ['[]', '"x"', '3', 'null', 'true']) {
      assertError(await bench.acme.send('POST', path, body), 400, 'invalid_value', null);
    }
    const utf8 = await fetch(bench.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${bench.acme.key}`, 'content-type': 'application/json' },
      body: Buffer.from([0x22, 0xff, 0x22]),
    });
    assertError(await answerOf(utf8), 400, 'invalid_json');
    const text = await bench.acme.send('POST', path, '{}', { 'content-type': 'text/plain' });
    assertError(text, 415, 'unsupported_media_type');
  });

  test('compressed bodies, of JSON and of files', async () => {
    const { body } = new Response(JSON.stringify({ model: 'tiny', prompt: 'a' }));
    const gzip = Buffer.from(
      await new Response(body!.pipeThrough(new CompressionStream('gzip'))).arrayBuffer(),
    );
    const file = new FormData();
    file.set('purpose', 'fine-tune');
    file.set('file', new Blob([chatLine]), 'x.jsonl');
    for (const encoding of [
      'gzip',
      'GZIP',
      'identity, br',
      'deflate',
      'zstd',
      'aws-chunked',
      'x'.repeat(9000),
    ]) {
      const headers = { authorization: `Bearer ${bench.acme.key}`, 'content-encoding': encoding };
      const json = { ...headers, 'content-type': 'application/json' };
      for (const [path, init] of [
        ['/v1/completions', { headers: json, body: gzip }],
        ['/v1/files', { headers, body: file }],
      ] as const) {
        const refused = await answerOf(await fetch(bench.url + path, { method: 'POST', ...init }));
        assertError(refused, 415, 'unsupported_media_type');
        assert.match(
          refused.json.error.message,
          /^Content-Encoding '.{2,100}' is not supported: send the body without/,
        );
        assert.equal(refused.headers.get('accept-encoding'), 'identity');
      }
    }
    const plain = await bench.acme.send('POST', '/v1/files', file, { 'content-encoding': 'Identity' });
    assert.equal(plain.status, 200, plain.text);
  });

  test('bodies too large or too deep', async () => {
    const path = '/v1/chat/completions';
    const large = { model: 'tiny', messages: [{ role: 'user', content: 'x'.repeat(1024 * 1024) }] };
    assertError(await bench.acme.send('POST', path, large), 413, 'body_too_large');
    const deep = `{"model":${'['.repeat(50)}${']'.repeat(50)}}`;
    assertError(await bench.acme.send('POST', path, deep), 400, 'json_too_deep');
  });

  for (const type of ['application/json', 'Application/JSON', 'APPLICATION/JSON; charset=utf-8'])
    test(`a body that never arrives times out, also as ${type}`, async () => {
      const answer = await raw(
        `POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bench.acme.key}\r\n` +
          `Connection: close\r\nContent-Type: ${type}\r\nContent-Length: 100\r\n\r\n{"model":`,
      );
      assertError(answer, 408, 'request_timeout');
    });

  test('a body that nobody waits for has its connection closed', async () => {
    const answer = await raw('GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{');
    assert.deepEqual([answer.status, answer.json], [200, { status: 'ok' }]);
  });

  test('headers that never arrive time out', async () => {
    assertError(await raw('GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: '), 408, 'request_timeout');
  });

  test('what is not HTTP', async () => {
    assertError(await raw('nonsense\r\n\r\n'), 400, 'bad_request');
    assertError(
      await raw(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
      431,
      'headers_too_large',
    );
  });

  test('what nobody expected is 500 without a word of it', async () => {
    const { services } = bench;
    const { list } = services.baseModels;
    services.baseModels.list = async () => {
      throw new Error('secret at /home/x: SELECT * FROM keys');
    };
    try {
      const answer = await bench.acme.send('GET', '/v1/models');
      assertError(answer, 500, 'internal_error', null);
      assert.doesNotMatch(answer.text, /secret|SELECT|\/home/);
    } finally {
      services.baseModels.list = list;
    }
  });
});

describe('headers', () => {
  test('a request id, not the client’s; nosniff; no CORS', async () => {
    const answer = await get('/healthz', { origin: 'http://evil.example', 'x-request-id': 'mine' });
    assert.match(answer.headers.get('x-request-id')!, /^req_[0-9a-f]{24}$/);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    assert.equal(answer.headers.get('access-control-allow-origin'), null);
    assert.equal(answer.headers.get('x-powered-by'), null);
  });
});

describe('docs', () => {
  // biome-ignore lint/suspicious/noExplicitAny: a document with many shapes
  let api: any;
  before(async () => {
    api = (await get('/docs/json')).json;
  });

  test('OpenAPI 3.1 of every route, with schemas by name and the error codes', () => {
    assert.match(api.openapi, /^3\.1\./);
    const routes = Object.entries(api.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    for (const route of [
      'POST /v1/files',
      'GET /v1/files',
      'GET /v1/files/{file_id}',
      'DELETE /v1/files/{file_id}',
      'GET /v1/files/{file_id}/content',
      'POST /v1/fine_tuning/jobs',
      'GET /v1/fine_tuning/jobs',
      'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}',
      'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel',
      'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/pause',
      'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/resume',
      'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events',
      'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/attempts',
      'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints',
      'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/metrics',
      'GET /v1/models',
      'GET /v1/models/{model}',
      'DELETE /v1/models/{model}',
      'GET /v1/adapters',
      'GET /v1/adapters/{adapter_id}/versions/{version}/download',
      'POST /v1/chat/completions',
      'POST /v1/completions',
      'POST /v1/embeddings',
      'POST /v1/classify',
      'GET /healthz',
      'GET /readyz',
    ]) {
      assert.ok(routes.includes(route), `${route} of ${routes.join(', ')}`);
    }
    const create = api.paths['/v1/fine_tuning/jobs'].post;
    assert.equal(
      create.requestBody.content['application/json'].schema.$ref,
      '#/components/schemas/CreateFineTuningJob',
    );
    const { peft } = api.components.schemas.CreateFineTuningJob.properties;
    assert.equal(peft.$ref, '#/components/schemas/PeftRequest');
    for (const code of Object.keys(errorCodes)) assert.ok(api.info.description.includes(`\`${code}\``), code);
  });

  test('every other method of a path is 405 with Allow, and OPTIONS lists the methods', async () => {
    for (const [template, routes] of Object.entries(api.paths as Record<string, object>)) {
      const declared = Object.keys(routes).map((method) => method.toUpperCase());
      const url = bench.url + template.replaceAll(/\{\w+\}/g, '1');
      const options = await fetch(url, { method: 'OPTIONS' });
      assert.equal(options.status, 204, template);
      const allowed = options.headers.get('allow')!.split(', ');
      for (const method of declared) assert.ok(allowed.includes(method), `${method} ${template}`);
      // A path may be one of another template, too: adapters/combine is also adapters/{adapter_id}.
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter(
        (each) => !allowed.includes(each),
      )) {
        const answer = await answerOf(await fetch(url, { method }));
        assertError(answer, 405, 'method_not_allowed', null);
        assert.equal(answer.headers.get('allow'), options.headers.get('allow'));
      }
      assert.ok('405' in (Object.values(routes)[0] as { responses: object }).responses, template);
    }
  });

  test('every $ref leads somewhere', () => {
    const text = JSON.stringify(api);
    const refs = new Set([...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!));
    assert.ok(refs.size > 10);
    for (const ref of refs) {
      const [, kind, name] = /^#\/components\/(schemas|responses|headers)\/([^/]+)$/.exec(ref) ?? [];
      assert.ok(kind && name! in api.components[kind], ref);
    }
  });

  test('the page, which runs its own scripts only', async () => {
    const page = await get('/docs/');
    assert.equal(page.status, 200);
    assert.match(page.text, /swagger-ui/);
    const policy = page.headers.get('content-security-policy')!;
    assert.match(policy, /default-src 'self'/);
    assert.doesNotMatch(policy, /script-src[^;]*unsafe/);
    assert.doesNotMatch(page.text, /<script>(?!\s*<)/);
    assert.equal((await get('/docs/static/swagger-ui-bundle.js')).status, 200);
  });
});

test('every schema that checks requests compiles, while others are answered', async () => {
  const compiling = bench.app.compileValidators();
  assert.equal((await get('/healthz')).status, 200);
  await compiling;
});
