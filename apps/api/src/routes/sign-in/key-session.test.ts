/** Sessions in exchange for keys, without a provider. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createApiKey, revokeApiKey } from '@graft/service/keys';
import { createPerson, putMember, updatePerson } from '@graft/service/people';
import { buildApp } from '../../app.ts';
import { loadApiSettings } from '../../settings.ts';
import { assertError } from '../../testing/assert-error.ts';
import { openBrowser } from '../../testing/oidc-provider.ts';
import { type ApiBench, answerOf, chatLine, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

type Browser = ReturnType<typeof openBrowser>;
const own = { 'sec-fetch-site': 'same-origin', 'content-type': 'application/json' };

async function send(
  browser: Browser,
  method: string,
  path: string,
  body?: unknown,
  headers: object = own,
  url = bench.url,
) {
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  const all = { method, headers: headers as Record<string, string>, ...init };
  return await answerOf(await browser.request(url + path, all));
}

test('a page learns how to sign in, and whether the user is signed in, without an error', async () => {
  const browser = openBrowser();
  const options = async () => (await send(browser, 'GET', '/v1/sign-in/options')).json;
  const byKey = { object: 'sign_in_options', provider: false, key: true };
  assert.deepEqual(await options(), { ...byKey, signed_in: false });
  await send(browser, 'POST', '/v1/sign-in/key', { key: bench.acme.key });
  assert.deepEqual(await options(), { ...byKey, signed_in: true });
  browser.jar(bench.url).set('graft_session', 'of nobody');
  assert.deepEqual(await options(), { ...byKey, signed_in: false });
});

async function signIn(key: string): Promise<Browser & { id: string }> {
  const browser = openBrowser();
  const answer = await send(browser, 'POST', '/v1/sign-in/key', { key });
  assert.equal(answer.status, 200, answer.text);
  return { ...browser, id: answer.json.id };
}

test('a session has the rights of its key, and ends with it on every process', async () => {
  const limits = { scopes: ['files:read', 'jobs:write'] as const, models: ['tiny'], expiresIn: 3600 };
  const { key, keyId } = await createApiKey(bench.services, bench.acme.teamId, {
    name: 'x',
    role: 'viewer',
    ...limits,
  });
  const browser = await signIn(key);
  const { json } = await send(browser, 'GET', '/v1/me');
  assert.deepEqual(
    [json.team.name, json.role, json.scopes, json.models, json.key.id, json.teams],
    ['acme', 'viewer', ['files:read', 'jobs:write'], ['tiny'], keyId, null],
  );
  assert.ok(json.session.expires_at <= json.key.expires_at);
  assert.equal((await send(browser, 'GET', '/v1/files')).status, 200);
  assertError(await send(browser, 'GET', '/v1/models'), 403, 'insufficient_scope');
  assertError(await send(browser, 'POST', '/v1/fine_tuning/jobs', {}), 403, 'insufficient_role');
  assertError(await send(browser, 'POST', '/v1/me/team', { team: 'other' }), 403, 'sign_in_required');
  assertError(
    await send(browser, 'GET', '/v1/me', undefined, { 'graft-team': 'other' }),
    404,
    'team_not_found',
  );

  const second = await buildApp(bench.services);
  try {
    const url = await second.listen({ host: '127.0.0.1', port: 0 });
    const cookie = `graft_session=${browser.jar(bench.url).get('graft_session')}`;
    const there = async () => (await fetch(`${url}/v1/me`, { headers: { cookie } })).status;
    assert.equal(await there(), 200);
    await revokeApiKey(bench.services, bench.acme.teamId, keyId);
    assert.equal(await there(), 401);
  } finally {
    await second.close();
  }
  assertError(await send(browser, 'GET', '/v1/me'), 401, 'invalid_session');
  assertError(await send(openBrowser(), 'POST', '/v1/sign-in/key', { key }), 401, 'invalid_api_key');
});

test('pages of other sites change nothing, and programs say that they are none', async () => {
  const browser = await signIn(bench.acme.key);
  const upload = '/v1/files/file-x';
  const json = { 'content-type': 'application/json' };
  for (const headers of [
    json,
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'cross-site', 'x-graft-csrf': '1' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'https://evil.example', 'x-graft-csrf': '1' },
    { origin: bench.url, 'sec-fetch-site': 'cross-site' },
  ]) {
    const shown = JSON.stringify(headers);
    const answer = await send(browser, 'DELETE', upload, undefined, headers);
    assert.equal(answer.json.error.code, 'cross_site_request', shown);
    assert.equal((await send(browser, 'POST', '/v1/sign-out', undefined, headers)).status, 403, shown);
  }
  for (const headers of [
    { 'sec-fetch-site': 'same-origin' },
    { origin: bench.url },
    { 'x-graft-csrf': '1' },
  ]) {
    assertError(await send(browser, 'DELETE', upload, undefined, headers), 404, 'file_not_found');
  }
  const login = await send(
    openBrowser(),
    'POST',
    '/v1/sign-in/key',
    { key: bench.acme.key },
    { ...json, origin: 'https://evil.example' },
  );
  assertError(login, 403, 'cross_site_request');
  assert.equal((await send(browser, 'GET', '/v1/me')).status, 200);
  const cors = await browser.request(`${bench.url}/v1/me`, { headers: { origin: 'https://evil.example' } });
  assert.equal(cors.headers.get('access-control-allow-origin'), null);
});

test('of a key and a cookie at once the key counts, and a wrong one is refused', async () => {
  const browser = await signIn(bench.acme.key);
  const both = { authorization: `Bearer ${bench.other.key}` };
  const { json } = await send(browser, 'GET', '/v1/me', undefined, both);
  assert.deepEqual([json.team.name, json.session], ['other', null]);
  const wrong = { authorization: `Bearer ${bench.other.key}x` };
  assertError(await send(browser, 'GET', '/v1/me', undefined, wrong), 401, 'invalid_api_key');
});

test('sessions are listed and ended, by whose they are', async () => {
  const person = await createPerson(bench.services, { email: 'p@example.com', name: 'P' });
  await putMember(bench.services, bench.acme.teamId, person.id, 'member');
  const make = async () =>
    (
      await createApiKey(bench.services, bench.acme.teamId, {
        name: 'p',
        role: 'member',
        personId: person.id,
      })
    ).key;
  const key = await make();
  const [first, second] = [await signIn(key), await signIn(key)];
  const stranger = await signIn(await make());
  const list = await send(first, 'GET', '/v1/me/sessions');
  assert.deepEqual(
    list.json.data.map(({ id, current }: { id: string; current: boolean }) => [id, current]),
    [
      [second.id, false],
      [first.id, true],
    ],
  );
  assert.ok(!list.text.includes('hmac'));
  assertError(await send(stranger, 'DELETE', `/v1/me/sessions/${first.id}`), 404, 'session_not_found');
  const other = await bench.other.send('DELETE', `/v1/me/sessions/${first.id}`);
  assertError(other, 404, 'session_not_found', 'session_id');
  assert.equal((await send(first, 'DELETE', `/v1/me/sessions/${second.id}`)).json.deleted, true);
  assertError(await send(second, 'GET', '/v1/me'), 401, 'invalid_session');
  assert.equal((await bench.withKey(bench.acme, key).send('DELETE', '/v1/me/sessions')).json.count, 1);
  assertError(await send(first, 'GET', '/v1/me'), 401, 'invalid_session');
  assert.equal((await send(stranger, 'GET', '/v1/me')).status, 200);
  await updatePerson(bench.services, person.id, { isDisabled: true });
  assertError(await send(stranger, 'GET', '/v1/me'), 401, 'invalid_session');
});

test('a session ends when it is idle, when it is old, and when it is signed out', async () => {
  const { sql } = bench.services;
  for (const change of ["last_used_at = now() - interval '13 hours'", 'expires_at = now()']) {
    const browser = await signIn(bench.acme.key);
    await sql.query(`UPDATE sessions SET ${change} WHERE id = $1`, [browser.id]);
    assertError(await send(browser, 'GET', '/v1/me'), 401, 'invalid_session');
    assert.equal(browser.jar(bench.url).has('graft_session'), false);
  }
  const browser = await signIn(bench.acme.key);
  const out = await send(browser, 'POST', '/v1/sign-out');
  assert.deepEqual(out.json, { object: 'signed_out', end_session_url: null });
  assert.equal(out.headers.get('clear-site-data'), '"cache"');
  assert.equal(
    (await sql.query('SELECT 1 FROM sessions WHERE id = $1 AND ended_at IS NOT NULL', [browser.id])).rowCount,
    1,
  );
  assertError(await send(openBrowser(), 'GET', '/v1/sign-in'), 404, 'sign_in_not_configured');
});

test('an open stream ends with its session', async () => {
  const file = await bench.acme.upload(chatLine);
  const { json: job } = await bench.acme.send('POST', '/v1/fine_tuning/jobs', {
    model: 'tiny',
    training_file: file,
  });
  const [ended, living] = [await signIn(bench.acme.key), await signIn(bench.acme.key)];
  const open = async (browser: Browser) => {
    const response = await browser.request(`${bench.url}/v1/fine_tuning/jobs/${job.id}/events?stream=true`);
    assert.equal(response.status, 200);
    const stream = { over: false, end: Promise.resolve() };
    stream.end = response.text().then(() => {
      stream.over = true;
    });
    return stream;
  };
  const [a, b] = [await open(ended), await open(living)];
  await send(living, 'DELETE', `/v1/me/sessions/${ended.id}`);
  const start = performance.now();
  await a.end;
  assert.ok(performance.now() - start < 5_000);
  assert.equal(b.over, false);
  await send(living, 'POST', '/v1/sign-out');
  await b.end;
});

test('an operator’s key makes a session of the operator', async () => {
  const operator = await bench.operator();
  const browser = await signIn(operator.key);
  const { json } = await send(browser, 'GET', '/v1/me');
  assert.deepEqual([json.kind, json.team, json.is_operator], ['operator', null, true]);
  assert.equal((await send(browser, 'GET', '/v1/admin/teams')).status, 200);
  assertError(await send(browser, 'GET', '/v1/files'), 403, 'team_key_required');
});

test('behind https the cookie is for this host alone', async () => {
  const { signIn } = loadApiSettings({ GRAFT_PUBLIC_URL: 'https://graft.example.com' });
  const app = await buildApp(bench.services, { signIn });
  try {
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const headers = { ...own, origin: 'https://graft.example.com' };
    const response = await fetch(`${url}/v1/sign-in/key`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ key: bench.acme.key }),
    });
    assert.match(
      response.headers.getSetCookie()[0]!,
      /^__Host-graft_session=.*; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    );
  } finally {
    await app.close();
  }
});
