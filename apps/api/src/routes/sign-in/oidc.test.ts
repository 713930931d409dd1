/** Signing in at a real provider, and attacks on it. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import {
  acceptInvitation,
  createInvitation,
  createPerson,
  putMember,
  removeMember,
  updatePerson,
} from '@graft/service/people';
import { createTeam } from '@graft/service/teams';
import { assertError } from '../../testing/assert-error.ts';
import { openBrowser, type TestProvider } from '../../testing/oidc-provider.ts';
import { type ApiBench, answerOf } from '../../testing/open-api-bench.ts';
import { type Browser, openSignInBench, type SignInBench } from '../../testing/open-sign-in-bench.ts';

let sign: SignInBench;
let bench: ApiBench;
let provider: TestProvider;
let url: string;
let person: SignInBench['person'];
let goTo: SignInBench['goTo'];
let comeBack: SignInBench['comeBack'];

before(async () => {
  sign = await openSignInBench({
    teams: [
      { group: 'research', team: 'acme', role: 'member' },
      { group: 'research-leads', team: 'acme', role: 'admin' },
      { group: 'guests', team: 'other', role: 'viewer' },
    ],
    operator_groups: ['graft-operators'],
  });
  ({ bench, provider, url, person, goTo, comeBack } = sign);
});
beforeEach(() => {
  provider.forge = null;
  provider.failing = null;
});
after(async () => await sign?.close());

async function signIn(sub: string, query = ''): Promise<Browser> {
  const browser = openBrowser();
  const back = await comeBack(browser, await goTo(browser, sub, query));
  assert.equal(back.status, 302, back.text);
  return browser;
}

const own = { 'sec-fetch-site': 'same-origin', 'content-type': 'application/json' };

async function send(browser: Browser, method: string, path: string, body?: unknown, headers: object = own) {
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  return await answerOf(
    await browser.request(url + path, { method, headers: headers as Record<string, string>, ...init }),
  );
}

const me = async (browser: Browser, headers: object = {}) =>
  await send(browser, 'GET', '/v1/me', undefined, headers);

describe('signing in', () => {
  test('gives a session with the roles of the groups, in each team', async () => {
    const browser = openBrowser();
    const back = await comeBack(
      browser,
      await goTo(browser, person('ada', ['research', 'guests', 'x']), 'return_to=/v1/team'),
    );
    assert.deepEqual([back.status, back.location], [302, '/v1/team']);
    const [line] = back.headers.getSetCookie().filter((each) => each.startsWith('graft_session='));
    assert.match(line!, /^graft_session=graft_session_\w+; Max-Age=\d+; Path=\/; HttpOnly; SameSite=Lax$/);
    const own = (await me(browser)).json;
    assert.deepEqual(
      [own.kind, own.person.email, own.session.method, own.scopes, own.key, own.is_operator],
      ['team', 'ada@example.com', 'oidc', null, null, false],
    );
    const { acme, other } = bench;
    assert.deepEqual(own.teams, [
      { id: acme.teamId, name: 'acme', role: 'member' },
      { id: other.teamId, name: 'other', role: 'viewer' },
    ]);
    // The secret is not stored.
    const token = browser.jar(url).get('graft_session')!;
    const { rows } = await bench.services.sql.query('SELECT to_jsonb(s)::text AS row FROM sessions s');
    assert.ok(rows.length > 0 && rows.every(({ row }) => !row.includes(token.split('_').at(-1))));
  });

  test('a person works in one of their teams at a time, as what they are there', async () => {
    const browser = await signIn(person('bea', ['research', 'guests']), 'team=acme');
    assert.equal((await me(browser)).json.team.name, 'acme');
    const otherTeam = { ...own, 'graft-team': 'other' };
    assert.deepEqual((await me(browser, otherTeam)).json.role, 'viewer');
    const refused = await send(browser, 'DELETE', '/v1/files/file-x', undefined, otherTeam);
    assertError(refused, 403, 'insufficient_role');
    assertError(await send(browser, 'DELETE', '/v1/files/file-x'), 404, 'file_not_found');
    const strange = await createTeam(bench.services, { name: 'strange' });
    for (const name of ['strange', strange.id, 'none', '\u00e9']) {
      assertError(await me(browser, { 'graft-team': name }), 404, 'team_not_found');
      if (name === '\u00e9') continue;
      assertError(await send(browser, 'POST', '/v1/me/team', { team: name }), 404, 'team_not_found', 'team');
    }
    assert.equal((await send(browser, 'POST', '/v1/me/team', { team: 'other' })).json.role, 'viewer');
    assert.equal((await me(browser)).json.team.name, 'other');
  });

  test('groups are evaluated at each sign-in; decisions of people remain', async () => {
    const sub = person('cy', ['research']);
    const browser = await signIn(sub);
    const made = await send(browser, 'POST', '/v1/team/keys', { name: 'mine' });
    const key = bench.withKey(bench.acme, made.json.key);
    assert.equal((await key.send('GET', '/v1/me')).json.role, 'member');
    person('cy', ['research', 'research-leads', 'graft-operators']);
    const second = await signIn(sub, 'reauthenticate=true');
    // The first session changes too: rights are those of the moment.
    assert.deepEqual([(await me(browser)).json.role, (await me(browser)).json.is_operator], ['admin', true]);
    assert.equal((await send(second, 'GET', '/v1/admin/teams')).status, 200);
    person('cy', ['guests']);
    await signIn(sub);
    assertError(await send(browser, 'GET', '/v1/admin/teams'), 403, 'operator_required');
    assertError(await send(browser, 'GET', '/v1/files'), 403, 'no_team');
    assert.deepEqual(
      (await me(browser)).json.teams.map(({ name }: { name: string }) => name),
      ['other'],
    );
    assertError(await key.send('GET', '/v1/me'), 401, 'invalid_api_key');
    const { personId } = (await bench.services.db.personIdentity.findFirst({ where: { subject: sub } }))!;
    await putMember(bench.services, bench.acme.teamId, personId, 'viewer');
    person('cy', ['research-leads']);
    await signIn(sub);
    assert.equal((await me(browser)).json.role, 'viewer');
  });

  test('a signed-in person accepts an invitation, if it is theirs', async () => {
    const browser = await signIn(person('dan', undefined));
    assert.deepEqual([(await me(browser)).json.kind, (await me(browser)).json.teams], ['person', []]);
    assertError(await send(browser, 'GET', '/v1/team'), 403, 'no_team');
    const admin = await bench.caller(bench.acme, 'admin');
    const invite = async (email: string | null) =>
      (await admin.send('POST', '/v1/team/invitations', { email, role: 'viewer' })).json.token;
    const token = await invite('somebody@example.com');
    const foreign = await send(browser, 'POST', '/v1/me/invitations', { token });
    assertError(foreign, 400, 'wrong_invitation_email');
    const joined = await send(browser, 'POST', '/v1/me/invitations', {
      token: await invite('dan@example.com'),
    });
    assert.deepEqual([joined.status, joined.json.team.name, joined.json.role], [200, 'acme', 'viewer']);
    assert.equal((await send(browser, 'GET', '/v1/team')).status, 200);
    const again = await send(browser, 'POST', '/v1/me/invitations', { token: await invite(null) });
    assertError(again, 400, 'already_member');
    assertError(await admin.send('POST', '/v1/me/invitations', { token }), 403, 'sign_in_required');
  });

  test('no key comes of a link alone where people sign in, and the link stays good', async () => {
    const admin = await bench.caller(bench.acme, 'admin');
    const { token } = (await admin.send('POST', '/v1/team/invitations', { role: 'admin' })).json;
    const refused = await admin.send('POST', '/v1/invitations/accept', { token, email: 'ada@example.com' });
    assertError(refused, 403, 'sign_in_required');
    const browser = await signIn(person('gil', undefined));
    assert.equal((await send(browser, 'POST', '/v1/me/invitations', { token })).status, 200);
  });

  test('at a first sign-in what somebody got by typing the email ends, in every team, and nothing else', async () => {
    const { services } = bench;
    const email = 'hal@example.com';
    const operator = await createPerson(services, { email: 'lead-of-hal@example.com', name: 'Lead' });
    await putMember(services, bench.acme.teamId, operator.id, 'admin');
    const lead = await bench.caller(bench.acme, 'admin', { personId: operator.id });
    const open = async (callersTeam: string) =>
      (await createInvitation(services, callersTeam, { email: null, role: 'admin' }, null)).token;
    // From before a provider was configured.
    const taken = await acceptInvitation(services, await open(bench.acme.teamId), { email });
    const elsewhere = await acceptInvitation(services, await open(bench.other.teamId), { email });
    const thief = bench.withKey(bench.acme, taken.key);
    const made = (await thief.send('POST', '/v1/team/keys', { name: 'x', role: 'admin', owner: 'team' }))
      .json;
    const invited = (await thief.send('POST', '/v1/team/invitations', {})).json;
    const byOperator = await bench.caller(bench.acme, 'member', { personId: taken.person.id });
    const browser = await signIn(person('hal', undefined));
    for (const key of [taken.key, elsewhere.key, made.key])
      assertError(await bench.withKey(bench.acme, key).send('GET', '/v1/me'), 401, 'invalid_api_key');
    const another = await signIn(person('ivy', undefined));
    const late = await send(another, 'POST', '/v1/me/invitations', { token: invited.token });
    assertError(late, 400, 'invalid_invitation');
    assert.equal((await byOperator.send('GET', '/v1/me')).status, 200);
    assert.equal((await lead.send('GET', '/v1/me')).status, 200);
    const { data } = (await lead.send('GET', `/v1/audit?target=${taken.person.id}&action=member.confirm`))
      .json;
    assert.deepEqual(data[0].detail, { reason: 'first_sign_in', role: 'admin' });

    // Once a person has signed in, no invitation link creates a key in that name, even without the provider. Later sign-ins revoke nothing.
    const again = acceptInvitation(services, await open(bench.other.teamId), { email });
    await assert.rejects(again, { code: 'sign_in_required' });
    const own = (await send(browser, 'POST', '/v1/team/keys', { name: 'mine' })).json;
    const { rows } = await services.sql.query(
      `DELETE FROM person_identities WHERE subject = 'hal' RETURNING id`,
    );
    assert.equal(rows.length, 1);
    await signIn('hal');
    assert.equal((await bench.withKey(bench.acme, own.key).send('GET', '/v1/me')).status, 200);
  });

  test('an email counts once, and only if the provider vouches for it; then its subject does', async () => {
    const known = await createPerson(bench.services, { email: 'eve@example.com', name: 'Eve' });
    await putMember(bench.services, bench.acme.teamId, known.id, 'admin');
    const browser = openBrowser();
    const unverified = person('eve-1', [], { email: 'eve@example.com', email_verified: false });
    assertError(await comeBack(browser, await goTo(browser, unverified)), 403, 'email_not_verified');
    await signIn(person('eve-2', [], { email: 'Eve@example.com' }));
    const other = openBrowser();
    const taken = person('eve-3', [], { email: 'eve@example.com' });
    assertError(await comeBack(other, await goTo(other, taken)), 403, 'identity_conflict');
    const renamed = await signIn(person('eve-2', [], { email: 'new@example.com', email_verified: false }));
    assert.deepEqual(
      [(await me(renamed)).json.person.id, (await me(renamed)).json.role],
      [known.id, 'admin'],
    );
    await updatePerson(bench.services, known.id, { isDisabled: true });
    assertError(await me(renamed), 401, 'invalid_session');
    const fresh = openBrowser();
    assertError(await comeBack(fresh, await goTo(fresh, 'eve-2')), 403, 'person_disabled');
  });

  test('groups of a wrong kind take nothing away; ten thousand are a list like any other', async () => {
    const sub = person('fay', ['guests']);
    const browser = await signIn(sub);
    for (const groups of [{ a: 1 }, 7, ['guests', 7], [['guests']], Array(20_001).fill('g')]) {
      person('fay', groups);
      const another = openBrowser();
      assertError(await comeBack(another, await goTo(another, sub)), 403, 'invalid_groups');
      assert.equal((await me(browser)).json.role, 'viewer');
    }
    person('fay', [...Array.from({ length: 10_000 }, (_, i) => `group-${i}`), 'research']);
    await signIn(sub, 'team=acme');
    assert.deepEqual(
      (await me(browser)).json.teams.map(({ name }: { name: string }) => name),
      ['acme'],
    );
  });
});

describe('what an attacker tries', () => {
  const failed = async (browser: Browser, address: string, param?: string) =>
    assertError(await comeBack(browser, address), 400, 'sign_in_failed', param);

  test('to return twice, from another browser, or without a started sign-in', async () => {
    const browser = openBrowser();
    const address = await goTo(browser, person('gus', ['guests']));
    const flow = browser.jar(url).get('graft_sign_in')!;
    await failed(openBrowser(), address, 'state');
    assert.equal((await comeBack(browser, address)).status, 302);
    await failed(browser, address, 'state');
    // A replay with the cookie fails too: the code is used up at the provider.
    browser.jar(url).set('graft_sign_in', flow);
    await failed(browser, address);
    browser.jar(url).set('graft_sign_in', `${flow.slice(0, -2)}AA`);
    await failed(browser, address, 'state');
  });

  test('to inject a code, a state or an issuer of another sign-in', async () => {
    const [mine, theirs] = [openBrowser(), openBrowser()];
    const [a, b] = [
      await goTo(mine, person('hal', ['guests'])),
      await goTo(theirs, person('ivy', ['guests'])),
    ];
    const injected = new URL(a);
    injected.searchParams.set('code', new URL(b).searchParams.get('code')!);
    const flow = mine.jar(url).get('graft_sign_in')!;
    await failed(mine, injected.href);
    for (const iss of ['https://evil.example', null]) {
      const mixed = new URL(a);
      if (iss) mixed.searchParams.set('iss', iss);
      else mixed.searchParams.delete('iss');
      mine.jar(url).set('graft_sign_in', flow);
      await failed(mine, mixed.href);
    }
    await failed(theirs, a, 'state');
    assert.equal(mine.jar(url).has('graft_session'), false);
  });

  test('with ID tokens for another client, of another issuer, too old, of another sign-in', async () => {
    const sub = person('jo', ['guests']);
    const now = Math.floor(Date.now() / 1000);
    for (const change of [
      { aud: 'another-client' },
      { aud: ['another-client', 'graft'], azp: 'another-client' },
      { iss: 'https://evil.example' },
      { exp: now - 60, iat: now - 120 },
      { nonce: 'another' },
      { nonce: undefined },
      { sub: undefined },
      { exp: undefined },
    ]) {
      const browser = openBrowser();
      const address = await goTo(browser, sub);
      provider.forge = (claims) => ({ ...claims, ...change });
      await failed(browser, address);
    }
    // The same token without a change is accepted.
    const browser = openBrowser();
    const address = await goTo(browser, sub);
    provider.forge = (claims) => claims;
    assert.equal((await comeBack(browser, address)).status, 302);
  });

  test('to be sent on to another site', async () => {
    const places = [
      '//evil.example',
      '/\\evil.example',
      'https://evil.example',
      '/\t/evil.example',
      'evil',
      '/%0d%0aX: y',
      '/ok?a=b',
    ];
    for (const place of places) {
      const browser = openBrowser();
      const address = await goTo(
        browser,
        person('kim', ['guests']),
        `return_to=${encodeURIComponent(place)}`,
      );
      const { location } = await comeBack(browser, address);
      assert.equal(new URL(location!, url).origin, url, place);
      if (place.startsWith('/ok')) assert.equal(location, place);
      else if (!place.includes('%')) assert.equal(location, '/v1/me', place);
    }
  });

  test('to fix a session: signing in makes a new one and ends the one before', async () => {
    const browser = await signIn(person('lee', ['guests']));
    const before = browser.jar(url).get('graft_session')!;
    await comeBack(browser, await goTo(browser, 'lee'));
    const now = browser.jar(url).get('graft_session')!;
    assert.notEqual(now, before);
    browser.jar(url).set('graft_session', before);
    assertError(await me(browser), 401, 'invalid_session');
    // A planted session is not adopted.
    browser
      .jar(url)
      .set('graft_session', 'graft_session_planted00000_0123456789012345678901234567890123456789');
    await comeBack(browser, await goTo(browser, 'lee'));
    assert.match(browser.jar(url).get('graft_session')!, /^graft_session_(?!planted)/);
  });

  test('to continue after they were removed from the team', async () => {
    const browser = await signIn(person('max', ['guests']));
    assert.equal((await send(browser, 'GET', '/v1/files')).status, 200);
    const { id } = (await me(browser)).json.person;
    await removeMember(bench.services, bench.other.teamId, id, null);
    assertError(await send(browser, 'GET', '/v1/files'), 403, 'no_team');
    assertError(await me(browser, { 'graft-team': 'other' }), 404, 'team_not_found');
  });
});

test('while the provider is unavailable nobody signs in, and sessions continue', async () => {
  const fresh = openBrowser();
  const browser = await signIn(person('ned', ['guests']));
  const address = await goTo(fresh, 'ned');
  const flow = fresh.jar(url).get('graft_sign_in')!;
  const hang = () => true;
  const endless = (_request: unknown, response: import('node:http').ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write(Buffer.alloc(2 ** 21, ' '));
    return true;
  };
  const broken = (_request: unknown, response: import('node:http').ServerResponse) => {
    response.writeHead(502).end();
    return true;
  };
  for (const failing of [hang, endless, broken]) {
    provider.failing = failing;
    fresh.jar(url).set('graft_sign_in', flow);
    const start = performance.now();
    const answer = await comeBack(fresh, address);
    assertError(answer, 503, 'sign_in_unavailable');
    assert.equal(answer.headers.get('retry-after'), '5');
    assert.ok(performance.now() - start < 60_000);
    assert.equal((await me(browser)).status, 200);
  }
});

test('signing out ends the session here and says where it ends at the provider', async () => {
  const browser = await signIn(person('ola', ['guests']));
  const kept = browser.jar(url).get('graft_session')!;
  const out = await send(browser, 'POST', '/v1/sign-out');
  assert.match(out.json.end_session_url, new RegExp(`^${provider.issuer}/session/end\\?`));
  assert.equal(new URL(out.json.end_session_url).searchParams.get('post_logout_redirect_uri'), `${url}/`);
  assert.equal(browser.jar(url).has('graft_session'), false);
  browser.jar(url).set('graft_session', kept);
  assertError(await me(browser), 401, 'invalid_session');
  const byKey = await send(browser, 'POST', '/v1/sign-in/key', { key: bench.acme.key });
  assertError(byKey, 403, 'key_sign_in_disabled');
  const { json } = await send(browser, 'GET', '/v1/sign-in/options');
  assert.deepEqual([json.provider, json.key, json.signed_in], [true, false, false]);
});
