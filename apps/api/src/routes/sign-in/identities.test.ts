/** Identities of a person at two providers, and what happens to sessions and sign-ins when one is unlinked. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildApp } from '../../app.ts';
import { loadApiSettings } from '../../settings.ts';
import { assertError } from '../../testing/assert-error.ts';
import { openBrowser, openTestProvider, type TestProvider, testClient } from '../../testing/oidc-provider.ts';
import { type ApiBench, answerOf, type Caller, openApiBench } from '../../testing/open-api-bench.ts';

/** An API with its provider. While people move from one provider to another, one Graft has two of these: `old` and `now`. */
interface Door {
  url: string;
  provider: TestProvider;
}

let folder: string;
let bench: ApiBench;
let operator: Caller;
let former: Awaited<ReturnType<typeof buildApp>>;
let old: Door;
let now: Door;

async function openDoor(name: string) {
  const placeholder = createServer();
  await new Promise<void>((resolve) => placeholder.listen(0, '127.0.0.1', resolve));
  const { port } = placeholder.address() as { port: number };
  await new Promise((resolve) => placeholder.close(resolve));
  const url = `http://127.0.0.1:${port}`;
  const provider = await openTestProvider(`${url}/v1/sign-in/callback`);
  const file = join(folder, `${name}.json`);
  const teams = [{ group: 'research', team: 'acme', role: 'member' }];
  await writeFile(
    file,
    JSON.stringify({
      issuer: provider.issuer,
      client_id: testClient.id,
      teams,
      scopes: ['openid', 'email', 'profile', 'groups'],
    }),
  );
  const { signIn } = loadApiSettings({
    GRAFT_PUBLIC_URL: url,
    GRAFT_OIDC_CONFIG: file,
    GRAFT_OIDC_CLIENT_SECRET: testClient.secret,
  });
  signIn.oidc!.timeoutMs = 8_000;
  return { door: { url, provider }, port, signIn };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-identities-'));
  const [first, second] = [await openDoor('old'), await openDoor('now')];
  [old, now] = [first.door, second.door];
  bench = await openApiBench({ signIn: second.signIn }, {}, second.port);
  former = await buildApp(bench.services, { signIn: first.signIn });
  await former.listen({ host: '127.0.0.1', port: first.port });
  operator = await bench.operator();
});
after(async () => {
  await former?.close();
  await bench?.close();
  await Promise.all([old, now].map((door) => door?.provider.close()));
  if (folder) await rm(folder, { recursive: true });
});

type Browser = ReturnType<typeof openBrowser>;

/** Adds a person to a provider. */
function person({ provider }: Door, sub: string, email: string, more: object = {}): string {
  provider.people.set(sub, { email, email_verified: true, name: sub, groups: ['research'], ...more });
  return sub;
}

/** Signs in at the provider, and returns the callback address without opening it. */
async function goTo(browser: Browser, { url }: Door, sub: string): Promise<string> {
  const start = await browser.request(`${url}/v1/sign-in`);
  const at = new URL(start.headers.get('location')!);
  at.searchParams.set('login_hint', sub);
  return await browser.follow(at.href, `${url}/v1/sign-in/callback`);
}

const comeBack = async (browser: Browser, address: string) => await answerOf(await browser.request(address));

async function tryToSignIn(door: Door, sub: string) {
  const browser = openBrowser();
  return { browser, answer: await comeBack(browser, await goTo(browser, door, sub)) };
}

async function signIn(door: Door, sub: string): Promise<Browser> {
  const { browser, answer } = await tryToSignIn(door, sub);
  assert.equal(answer.status, 302, answer.text);
  return browser;
}

const headers = { 'sec-fetch-site': 'same-origin' };
const send = async (browser: Browser, method: string, path: string, { url }: Door = now) =>
  await answerOf(await browser.request(url + path, { method, headers }));

const mine = '/v1/me/identities';
const personId = async (browser: Browser): Promise<string> =>
  (await send(browser, 'GET', '/v1/me')).json.person.id;

async function identityAt(browser: Browser, { provider }: Door): Promise<string> {
  const { data } = (await send(browser, 'GET', mine)).json;
  return data.find(({ issuer }: { issuer: string }) => issuer === provider.issuer).id;
}

test('a person unlinks their identity at the former provider: its sessions end immediately, others continue', async () => {
  const gone = await signIn(old, person(old, 'ada-1', 'ada@example.com'));
  const browser = await signIn(now, person(now, 'ada-2', 'ada@example.com'));
  const { data, has_more } = (await send(browser, 'GET', mine)).json;
  assert.deepEqual(
    [data.map(({ issuer, subject }: Record<string, string>) => [issuer, subject]), has_more],
    [
      [
        [old.provider.issuer, 'ada-1'],
        [now.provider.issuer, 'ada-2'],
      ],
      false,
    ],
  );
  const id = await identityAt(browser, old);
  // Both APIs are one Graft, whose cookie would go to both.
  await send(gone, 'GET', '/v1/me');
  gone.jar(now.url).set('graft_session', gone.jar(old.url).get('graft_session')!);
  assert.equal((await send(gone, 'GET', '/v1/me')).status, 200);
  assert.deepEqual((await send(browser, 'DELETE', `${mine}/${id}`)).json, {
    id,
    object: 'identity',
    deleted: true,
  });
  for (const door of [old, now]) assertError(await send(gone, 'GET', '/v1/me', door), 401, 'invalid_session');
  assert.equal((await send(browser, 'GET', '/v1/me')).json.role, 'member');
  assert.equal((await send(browser, 'GET', mine)).json.data.length, 1);
  assertError(await send(browser, 'DELETE', `${mine}/${id}`), 404, 'identity_not_found', 'identity_id');
  const audit = await bench.services.db.auditEntry.findMany({ where: { action: 'person.unlink' } });
  const ada = await personId(browser);
  assert.deepEqual(
    audit.map(({ teamId, keyId, personId: by, target, detail }) => [teamId, keyId, by, target, detail]),
    [[null, null, ada, ada, { issuer: old.provider.issuer, identity: id, sessions: 1 }]],
  );
});

test('the last way in stays with the person, also where one of the former provider is left', async () => {
  await signIn(old, person(old, 'bea-1', 'bea@example.com'));
  const browser = await signIn(now, person(now, 'bea-2', 'bea@example.com'));
  const id = await identityAt(browser, now);
  assertError(await send(browser, 'DELETE', `${mine}/${id}`), 400, 'last_identity', 'identity_id');
  await send(browser, 'DELETE', `${mine}/${await identityAt(browser, old)}`);
  assertError(await send(browser, 'DELETE', `${mine}/${id}`), 400, 'last_identity', 'identity_id');
  assert.equal((await send(browser, 'GET', mine)).json.data.length, 1);
});

test('an identity of somebody else is as one that does not exist; keys see and unlink none', async () => {
  const theirs = await identityAt(await signIn(now, person(now, 'cy', 'cy@example.com')), now);
  const browser = await signIn(now, person(now, 'dan', 'dan@example.com', { groups: [] }));
  const none = `${theirs.slice(0, -24)}${'0'.repeat(24)}`;
  const path = `/v1/admin/people/${await personId(browser)}/identities`;
  for (const ask of [
    async (id: string) => await send(browser, 'DELETE', `${mine}/${id}`),
    async (id: string) => await operator.send('DELETE', `${path}/${id}`),
  ]) {
    const refused = await ask(theirs);
    assertError(refused, 404, 'identity_not_found', 'identity_id');
    assert.equal(refused.text.replace(theirs, none), (await ask(none)).text);
  }
  for (const method of ['GET', 'DELETE']) {
    const nobody = `/v1/admin/people/user-none/identities${method === 'GET' ? '' : `/${theirs}`}`;
    assertError(await operator.send(method, nobody), 404, 'person_not_found', 'person_id');
  }
  const admin = await bench.caller(bench.acme, 'admin');
  for (const caller of [admin, operator]) {
    assertError(await caller.send('GET', mine), 403, 'sign_in_required');
    assertError(await caller.send('DELETE', `${mine}/${theirs}`), 403, 'sign_in_required');
  }
  assertError(await admin.send('GET', path), 403, 'operator_required');
  assertError(await admin.send('DELETE', `${path}/${theirs}`), 403, 'operator_required');
  assert.equal((await operator.send('GET', path)).json.data[0].subject, 'dan');
});

test('the operator unlinks the last one: who comes by it later is as new', async () => {
  const browser = await signIn(now, person(now, 'eve-1', 'eve@example.com'));
  const eve = await personId(browser);
  const path = `/v1/admin/people/${eve}/identities`;
  const [first] = (await operator.send('GET', path)).json.data;
  // Another person with the same email: the provider has created the account again.
  person(now, 'eve-2', 'eve@example.com');
  assertError((await tryToSignIn(now, 'eve-2')).answer, 403, 'identity_conflict');
  const made = await answerOf(
    await browser.request(`${now.url}/v1/team/keys`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'mine' }),
    }),
  );
  const kept = browser.jar(now.url).get('graft_session')!;
  const unlinked = await operator.send('DELETE', `${path}/${first.id}`);
  assert.equal(unlinked.status, 200, unlinked.text);
  assertError(await send(browser, 'GET', '/v1/me'), 401, 'invalid_session');
  assert.deepEqual((await operator.send('GET', path)).json.data, []);
  const key = bench.withKey(bench.acme, made.json.key);
  assert.deepEqual((await key.send('GET', '/v1/me')).json.role, 'member', 'memberships and keys stay');

  // Without a verified email nobody is linked; with another email it is another person.
  person(now, 'eve-1', 'eve@example.com', { email_verified: false });
  assertError((await tryToSignIn(now, 'eve-1')).answer, 403, 'email_not_verified');
  person(now, 'eve-1', 'else@example.com');
  assert.notEqual(await personId(await signIn(now, 'eve-1')), eve);
  // The new account replaces the former one, and the audit log records it.
  assert.equal(await personId(await signIn(now, 'eve-2')), eve);
  browser.jar(now.url).set('graft_session', kept);
  assertError(await send(browser, 'GET', '/v1/me'), 401, 'invalid_session');
  const audit = await bench.services.db.auditEntry.findMany({
    where: { target: eve, action: { in: ['person.link', 'person.unlink'] } },
    orderBy: { id: 'asc' },
  });
  assert.deepEqual(
    audit.map(({ action }) => action),
    ['person.link', 'person.unlink', 'person.link'],
  );
  const [linked, unlinkedOf, linkedNext] = audit.map(
    ({ detail }) => (detail as { identity: string }).identity,
  );
  assert.equal(unlinkedOf, linked);
  assert.notEqual(linkedNext, linked);
  assert.equal(audit[1]!.keyId, operator.key.split('_').slice(1, 3).join('_'));
});

test('a person whose identity is unlinked during a sign-in gets no session', async () => {
  const first = await signIn(now, person(now, 'fay', 'fay@example.com'));
  const browser = openBrowser();
  const address = await goTo(browser, now, 'fay');
  const { sql } = bench.services;
  const client = await sql.connect();
  try {
    await client.query('BEGIN');
    await client.query('DELETE FROM person_identities WHERE id = $1', [await identityAt(first, now)]);
    const coming = comeBack(browser, address);
    const waiting =
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for (const end = performance.now() + 30_000; (await sql.query(waiting)).rowCount === 0; await sleep(20))
      assert.ok(performance.now() < end, 'the sign-in waits for the one who unlinks');
    await client.query('COMMIT');
    assertError(await coming, 400, 'sign_in_failed');
  } finally {
    client.release();
  }
  assert.equal(browser.jar(now.url).has('graft_session'), false);
});
