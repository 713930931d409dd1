/** People who have left: sessions that the provider ends, and keys whose person no longer signs in. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createOperatorKey } from '@graft/service/keys';
import { createPerson, updatePerson } from '@graft/service/people';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { loadApiSettings } from '../../settings.ts';
import { assertError } from '../../testing/assert-error.ts';
import { openBrowser, openTestProvider, type TestProvider, testClient } from '../../testing/oidc-provider.ts';
import { type Answer, type ApiBench, answerOf, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let provider: TestProvider;
let folder: string;
let url: string;

before(async () => {
  const placeholder = createServer();
  await new Promise<void>((resolve) => placeholder.listen(0, '127.0.0.1', resolve));
  const { port } = placeholder.address() as { port: number };
  await new Promise((resolve) => placeholder.close(resolve));
  url = `http://127.0.0.1:${port}`;
  provider = await openTestProvider(`${url}/v1/sign-in/callback`);
  folder = await mkdtemp(join(tmpdir(), 'graft-leavers-'));
  const file = join(folder, 'oidc.json');
  await writeFile(
    file,
    JSON.stringify({
      issuer: provider.issuer,
      client_id: testClient.id,
      key_lapse_days: 10,
      allow_key_sessions: true,
      scopes: ['openid', 'email', 'profile', 'groups'],
      teams: [{ group: 'research', team: 'acme', role: 'admin' }],
    }),
  );
  const { signIn } = loadApiSettings({
    GRAFT_PUBLIC_URL: url,
    GRAFT_OIDC_CONFIG: file,
    GRAFT_OIDC_CLIENT_SECRET: testClient.secret,
  });
  signIn.oidc!.timeoutMs = 8_000;
  bench = await openApiBench({ signIn }, {}, port);
});
after(async () => {
  await bench?.close();
  await provider?.close();
  if (folder) await rm(folder, { recursive: true });
});

type Browser = ReturnType<typeof openBrowser>;

function person(sub: string): string {
  const more = { email: `${sub}@example.com`, email_verified: true, name: sub, groups: ['research'] };
  provider.people.set(sub, more);
  return sub;
}

async function signIn(sub: string, browser = openBrowser()): Promise<Browser> {
  const start = await browser.request(`${url}/v1/sign-in`);
  const at = new URL(start.headers.get('location')!);
  at.searchParams.set('login_hint', sub);
  const back = await browser.request(await browser.follow(at.href, `${url}/v1/sign-in/callback`));
  assert.equal(back.status, 302, await back.text());
  return browser;
}

const me = async (browser: Browser) => await answerOf(await browser.request(`${url}/v1/me`));

async function makeKey(browser: Browser, owner: 'person' | 'team') {
  const response = await browser.request(`${url}/v1/team/keys`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin' },
    body: JSON.stringify({ name: 'x', owner }),
  });
  return bench.withKey(bench.acme, ((await response.json()) as { key: string }).key);
}

async function send(body: string, type = 'application/x-www-form-urlencoded'): Promise<Answer> {
  const init = { method: 'POST', headers: { 'content-type': type }, body };
  return await answerOf(await fetch(`${url}/v1/sign-in/backchannel-logout`, init));
}
const logOut = async (token: string) => await send(String(new URLSearchParams({ logout_token: token })));

const event = 'http://schemas.openid.net/event/backchannel-logout';
let tokens = 0;
function claims(more: Record<string, unknown> = {}): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: provider.issuer,
    aud: testClient.id,
    iat: now,
    exp: now + 120,
    jti: `jti-${tokens++}`,
    events: { [event]: {} },
    ...more,
  };
}

describe('back-channel logout', () => {
  test('signing out at the provider ends its session, and keys keep working', async () => {
    const [browser, other] = [await signIn(person('ann')), await signIn('ann')];
    const key = await makeKey(browser, 'person');
    // The provider asks for confirmation, and sends its logout token to Graft when the person agrees.
    const asked = await browser.request(`${provider.issuer}/session/end?client_id=${testClient.id}`);
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(await asked.text())![1]!;
    const agreed = await browser.request(`${provider.issuer}/session/end/confirm`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: String(new URLSearchParams({ xsrf, logout: 'yes' })),
    });
    assert.ok([302, 303].includes(agreed.status), await agreed.text());
    assertError(await me(browser), 401, 'invalid_session');
    assert.equal((await me(other)).status, 200);
    assert.equal((await key.send('GET', '/v1/me')).status, 200);
    const audit = await bench.services.db.auditEntry.findMany({ where: { action: 'session.end' } });
    assert.deepEqual(
      audit.map(({ detail }) => detail),
      [{ reason: 'provider_logout', issuer: provider.issuer, sessions: 1 }],
    );
  });

  test('a token for a subject ends all sessions of it, once, and nobody else’s', async () => {
    const [first, second] = [await signIn(person('bob')), await signIn('bob')];
    const stranger = await signIn(person('cat'));
    const token = await provider.signAsItself(claims({ sub: 'bob' }));
    const done = await logOut(token);
    assert.deepEqual([done.status, done.json], [200, { object: 'provider_logout', sessions: 2 }]);
    assert.equal(done.headers.get('cache-control'), 'no-store');
    for (const browser of [first, second]) assertError(await me(browser), 401, 'invalid_session');
    assert.equal((await me(stranger)).status, 200);
    // After a new sign-in, an old token does not end the session.
    await signIn('bob', first);
    assertError(await logOut(token), 400, 'invalid_logout_token', 'logout_token');
    assert.equal((await me(first)).status, 200);
  });

  test('of twenty deliveries of one token one counts', async () => {
    await signIn(person('dee'));
    const token = await provider.signAsItself(claims({ sub: 'dee' }));
    const answers = await Promise.all(Array.from({ length: 20 }, () => logOut(token)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  });

  test('what is no logout token of the provider for this service ends nothing', async () => {
    const browser = await signIn(person('eli'));
    const own = await generateKeyPair('RS256', { extractable: true });
    const forge = async (payload: Record<string, unknown>, header: object = { alg: 'RS256', kid: 'test' }) =>
      await new SignJWT(payload).setProtectedHeader(header as { alg: string }).sign(own.privateKey);
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const good = claims({ sub: 'eli' });
    const shared = await new SignJWT(good)
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(testClient.secret));
    const { e, n } = await exportJWK(own.publicKey);
    const wrong: Record<string, string> = {
      'another key': await forge(good),
      'a key that it brings along': await forge(good, { alg: 'RS256', jwk: { kty: 'RSA', e, n } }),
      'no signature': `${encode({ alg: 'none' })}.${encode(good)}.`,
      'the client’s secret': shared,
      'no token': 'x',
    };
    const now = Math.floor(Date.now() / 1000);
    const changes: Record<string, Record<string, unknown>> = {
      'another issuer': { iss: 'https://evil.example.com' },
      'another client': { aud: 'another' },
      'too old': { iat: now - 3600, exp: now + 60 },
      'past its end': { exp: now - 60 },
      'from the future': { iat: now + 600 },
      'a nonce, as ID tokens have': { nonce: 'n' },
      'no event': { events: {} },
      'an event that is none': { events: { [event]: true } },
      'no id': { jti: undefined },
      nobody: { sub: undefined },
    };
    for (const [name, change] of Object.entries(changes))
      wrong[name] = await provider.signAsItself({ ...claims({ sub: 'eli' }), ...change });
    for (const [name, token] of Object.entries(wrong)) {
      const answer = await logOut(token);
      assert.equal(answer.json.error.code, 'invalid_logout_token', name);
      assert.equal(answer.status, 400, name);
    }
    assertError(await send('logout_token=', undefined), 400, 'invalid_value', 'logout_token');
    assertError(await send('x=1'), 400, 'missing_required_parameter', 'logout_token');
    assertError(await send('{}', 'text/plain'), 415, 'unsupported_media_type');
    assert.equal((await me(browser)).status, 200);
  });
});

describe('keys of people who no longer sign in', () => {
  const lastSignIn = async (sub: string, days: number) =>
    await bench.services.sql.query(
      `UPDATE people SET signed_in_at = now() - make_interval(days => $2) WHERE email = $1`,
      [`${sub}@example.com`, days],
    );

  test('lapse with what they were exchanged for, and come back; the team’s never lapse', async () => {
    const browser = await signIn(person('fay'));
    const [own, ofTeam] = [await makeKey(browser, 'person'), await makeKey(browser, 'team')];
    const exchanged = await fetch(`${url}/v1/sign-in/key`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-graft-csrf': '1' },
      body: JSON.stringify({ key: own.key }),
    });
    const cookie = exchanged.headers.getSetCookie()[0]!.split(';')[0]!;
    const byCookie = async () => (await fetch(`${url}/v1/me`, { headers: { cookie } })).status;
    await lastSignIn('fay', 9);
    assert.equal((await own.send('GET', '/v1/me')).status, 200);
    assert.equal(await byCookie(), 200);
    await lastSignIn('fay', 10);
    const lapsed = await own.send('GET', '/v1/me');
    assertError(lapsed, 401, 'key_lapsed');
    assert.match(lapsed.json.error.message, /has not signed in for 10 days.*\/v1\/sign-in/);
    assert.equal(await byCookie(), 401);
    const again = await fetch(`${url}/v1/sign-in/key`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-graft-csrf': '1' },
      body: JSON.stringify({ key: own.key }),
    });
    assertError(await answerOf(again), 401, 'key_lapsed');
    assert.equal((await ofTeam.send('GET', '/v1/me')).status, 200);
    // Without the right secret the response reveals nothing.
    const wrong = `${own.key.slice(0, -1)}${own.key.endsWith('a') ? 'b' : 'a'}`;
    assertError(await bench.withKey(bench.acme, wrong).send('GET', '/v1/me'), 401, 'invalid_api_key');

    await signIn('fay');
    assert.equal((await own.send('GET', '/v1/me')).status, 200);
    assert.equal(await byCookie(), 200);
  });

  test('so do an operator’s; those of people unknown to any provider keep working', async () => {
    await signIn(person('gus'));
    const { personId } = (await bench.services.db.personIdentity.findFirst({ where: { subject: 'gus' } }))!;
    await updatePerson(bench.services, personId, { isOperator: true });
    const { key } = await createOperatorKey(bench.services, { name: 'x', personId });
    const operator = bench.withKey(bench.acme, key);
    assert.equal((await operator.send('GET', '/v1/admin/teams')).status, 200);
    await lastSignIn('gus', 11);
    assertError(await operator.send('GET', '/v1/admin/teams'), 401, 'key_lapsed');
    const input = { email: 'local@example.com', name: 'Local', isOperator: true };
    const { id } = await createPerson(bench.services, input);
    const local = await createOperatorKey(bench.services, { name: 'x', personId: id });
    assert.equal((await bench.withKey(bench.acme, local.key).send('GET', '/v1/admin/teams')).status, 200);
  });
});
